#include "core/dtype.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

namespace ecld {
namespace {

TEST(DType, NamesRoundTrip) {
  for (DType dtype : {DType::kF64, DType::kF32, DType::kF16, DType::kBF16, DType::kF8E4M3, DType::kF8E5M2,
                      DType::kF8E8M0, DType::kI64, DType::kI32, DType::kI16, DType::kI8, DType::kU8, DType::kBool})
    EXPECT_EQ(DTypeFromName(Name(dtype)), dtype) << Name(dtype);
  EXPECT_EQ(DTypeFromName("F4"), std::nullopt);
}

// Every one of the 65536 half values survives the trip through float, NaN as NaN.
TEST(DType, HalfToFloatAndBackIsExact) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    float value = HalfToFloat(static_cast<uint16_t>(bits));
    if (std::isnan(value))
      EXPECT_TRUE(std::isnan(HalfToFloat(FloatToHalf(value))));
    else
      ASSERT_EQ(FloatToHalf(value), bits) << value;
  }
}

TEST(DType, Bf16ToFloatAndBackIsExact) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    float value = Bf16ToFloat(static_cast<uint16_t>(bits));
    if (std::isnan(value))
      EXPECT_TRUE(std::isnan(Bf16ToFloat(FloatToBf16(value))));
    else
      ASSERT_EQ(FloatToBf16(value), bits) << value;
  }
}

// Between two neighbours the nearer is taken, and of two equally near the even one.
TEST(DType, RoundsToNearestEven) {
  for (uint32_t bits = 0; bits < 0x7bff; ++bits) {
    double low = HalfToFloat(static_cast<uint16_t>(bits)), high = HalfToFloat(static_cast<uint16_t>(bits + 1));
    auto middle = static_cast<float>((low + high) / 2);
    ASSERT_EQ(FloatToHalf(middle), bits % 2 == 0 ? bits : bits + 1);
    ASSERT_EQ(FloatToHalf(std::nextafter(middle, 1e9f)), bits + 1);
    ASSERT_EQ(FloatToHalf(std::nextafter(middle, -1e9f)), bits);
  }
  EXPECT_EQ(FloatToBf16(1.00390625f), 0x3f80);  // halfway between 0x3f80 and 0x3f81
  EXPECT_EQ(FloatToBf16(1.01171875f), 0x3f82);  // halfway between 0x3f81 and 0x3f82
  EXPECT_TRUE(std::isinf(HalfToFloat(FloatToHalf(65520.0f))));
  EXPECT_EQ(HalfToFloat(FloatToHalf(65519.0f)), 65504.0f);
}

// Values from the OCP 8-bit floating point specification 1.0, table 2.
TEST(DType, EightBitFloats) {
  EXPECT_EQ(F8E4M3ToFloat(0x7e), 448.0f);
  EXPECT_EQ(F8E4M3ToFloat(0x08), 0.015625f);
  EXPECT_EQ(F8E4M3ToFloat(0x81), -0.001953125f);
  EXPECT_TRUE(std::isnan(F8E4M3ToFloat(0x7f)));
  EXPECT_EQ(F8E5M2ToFloat(0x7b), 57344.0f);
  EXPECT_TRUE(std::isinf(F8E5M2ToFloat(0xfc)));
}

// Values from the OCP Microscaling specification 1.0, section 5.4.1.
TEST(DType, PowersOfTwo) {
  EXPECT_EQ(F8E8M0ToFloat(127), 1.0f);
  EXPECT_EQ(F8E8M0ToFloat(0), std::ldexp(1.0f, -127));
  EXPECT_EQ(F8E8M0ToFloat(254), std::ldexp(1.0f, 127));
  EXPECT_TRUE(std::isnan(F8E8M0ToFloat(255)));
}

TEST(DType, ConvertsUnalignedArrays) {
  const std::vector<float> values = {1.5f, -2.25f, 0.0f, 1024.0f};
  for (DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
    std::vector<std::byte> bytes(1 + values.size() * SizeOf(dtype));
    FromFloat(dtype, values.data(), values.size(), bytes.data() + 1);
    std::vector<float> back(values.size());
    ToFloat(dtype, bytes.data() + 1, values.size(), back.data());
    EXPECT_EQ(back, values) << Name(dtype);
  }
}

}  // namespace
}  // namespace ecld
