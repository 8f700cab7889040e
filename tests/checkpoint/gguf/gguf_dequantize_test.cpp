#include "checkpoint/gguf/gguf_dequantize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "core/dtype.h"
#include "tests/testing/near.h"

// Blocks are written here as the formats are drawn, one field at a time; the oracle compares random bits.

namespace ecld {
namespace {

std::string Half(float value) {
  uint16_t bits = FloatToHalf(value);
  return {static_cast<char>(bits & 0xff), static_cast<char>(bits >> 8)};
}

std::string Bytes(size_t count, int value) { return std::string(count, static_cast<char>(value)); }

std::vector<float> Values(GgmlType type, const std::string& bytes) {
  const GgmlTypeInfo& info = InfoOf(type);
  EXPECT_EQ(bytes.size() % static_cast<size_t>(info.block_bytes), 0u);
  auto blocks = static_cast<int64_t>(bytes.size()) / info.block_bytes;
  std::vector<float> out(static_cast<size_t>(blocks * info.block_elements));
  Dequantize(type, reinterpret_cast<const std::byte*>(bytes.data()), blocks, out.data());
  return out;
}

std::vector<float> Repeat(size_t count, float value) { return std::vector<float>(count, value); }

TEST(GgufDequantize, KnowsItsTypes) {
  EXPECT_EQ(InfoOf(GgmlType::kQ6_K).name, "Q6_K");
  EXPECT_EQ(FindGgmlType(8)->type, GgmlType::kQ8_0);
  EXPECT_EQ(FindGgmlType(16), nullptr);
  EXPECT_EQ(GgmlTypeName(16), "IQ2_XXS");
  EXPECT_EQ(GgmlTypeName(12), "Q4_K");
  EXPECT_EQ(GgmlTypeName(77), "type 77");
  EXPECT_EQ(SupportedGgmlTypes(),
            "F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL, IQ4_XS");
}

TEST(GgufDequantize, PlainFloats) {
  EXPECT_TRUE(Near(Values(GgmlType::kF16, Half(1.5f) + Half(-2)), std::vector<float>{1.5f, -2}, Exact()));
  EXPECT_TRUE(Near(Values(GgmlType::kBF16, std::string("\x80\x3f\x00\xc0", 4)), std::vector<float>{1, -2}, Exact()));
  EXPECT_TRUE(Near(Values(GgmlType::kF32, std::string("\x00\x00\x80\x3f", 4)), std::vector<float>{1}, Exact()));
}

TEST(GgufDequantize, Q8_0IsScaleTimesCode) {
  std::string codes;
  std::vector<float> expected;
  for (int i = 0; i < 32; ++i) {
    codes += static_cast<char>(i * 8 - 128);
    expected.push_back(0.5f * static_cast<float>(i * 8 - 128));
  }
  EXPECT_TRUE(Near(Values(GgmlType::kQ8_0, Half(0.5f) + codes), expected, Exact()));
}

// Byte j holds element j in its low and element j + 16 in its high nibble.
TEST(GgufDequantize, FourBitsSplitAtTheMiddle) {
  std::string codes;
  std::vector<float> symmetric(32), affine(32);
  for (int i = 0; i < 16; ++i) {
    codes += static_cast<char>(i | ((15 - i) << 4));
    symmetric[i] = 2 * static_cast<float>(i - 8);
    symmetric[i + 16] = 2 * static_cast<float>(15 - i - 8);
    affine[i] = 2 * static_cast<float>(i) - 3;
    affine[i + 16] = 2 * static_cast<float>(15 - i) - 3;
  }
  EXPECT_TRUE(Near(Values(GgmlType::kQ4_0, Half(2) + codes), symmetric, Exact()));
  EXPECT_TRUE(Near(Values(GgmlType::kQ4_1, Half(2) + Half(-3) + codes), affine, Exact()));
}

TEST(GgufDequantize, FifthBitsLieInOneWord) {
  std::string high("\x01\x00\x00\x80", 4);  // elements 0 and 31
  std::vector<float> symmetric = Repeat(32, -16 + 3), affine = Repeat(32, 3 + 10);
  for (int i : {0, 31}) symmetric[i] = 16 - 16 + 3, affine[i] = 16 + 3 + 10;
  EXPECT_TRUE(Near(Values(GgmlType::kQ5_0, Half(1) + high + Bytes(16, 0x33)), symmetric, Exact()));
  EXPECT_TRUE(Near(Values(GgmlType::kQ5_1, Half(1) + Half(10) + high + Bytes(16, 0x33)), affine, Exact()));
}

TEST(GgufDequantize, Q2_K) {
  std::string scales = Bytes(16, 0x11), codes = Bytes(64, 0);
  scales[15] = static_cast<char>(0x2f);      // last 16 elements: scale 15, minimum 2
  codes[1] = static_cast<char>(0b11000010);  // elements 1 (code 2) and 97 (code 3)
  std::vector<float> expected = Repeat(256, -0.5f);
  expected[1] = 2 - 0.5f;
  expected[97] = 3 - 0.5f;
  for (int i = 240; i < 256; ++i) expected[i] = -1;
  EXPECT_TRUE(Near(Values(GgmlType::kQ2_K, scales + codes + Half(1) + Half(0.5f)), expected, Exact()));
}

TEST(GgufDequantize, Q3_K) {
  std::string high = Bytes(32, 0xff), codes = Bytes(64, 0), scales = Bytes(12, 0);
  high[2] = static_cast<char>(0xfe);                                       // element 2 loses 4
  codes[2] = 3;                                                            // and has code 3
  codes[33] = static_cast<char>(1 << 6);                                   // element 128 + 96 + 1 has code 1
  for (int i = 8; i < 12; ++i) scales[i] = static_cast<char>(0b10101010);  // every scale 32 + low nibble
  scales[0] = 5;                                                           // elements 0..15: 5
  scales[6] = 0x70;                                                        // elements 224..239, sub-block 14: 7
  std::vector<float> expected = Repeat(256, 0);
  expected[2] = -5;
  expected[225] = 7;
  EXPECT_TRUE(Near(Values(GgmlType::kQ3_K, high + codes + scales + Half(1)), expected, Exact()));
}

// Sub-blocks 0..3 have their 6-bit pairs whole, 4..7 in nibbles and the top two bits of the first eight bytes.
std::string SixBitPairs(const std::vector<int>& scales, const std::vector<int>& minima) {
  std::string packed = Bytes(12, 0);
  for (int j = 0; j < 4; ++j) {
    packed[j] = static_cast<char>(scales[j] | (scales[j + 4] >> 4 << 6));
    packed[j + 4] = static_cast<char>(minima[j] | (minima[j + 4] >> 4 << 6));
    packed[j + 8] = static_cast<char>((scales[j + 4] & 15) | ((minima[j + 4] & 15) << 4));
  }
  return packed;
}

TEST(GgufDequantize, Q4_KAndQ5_K) {
  std::vector<int> scales = {1, 2, 3, 63, 17, 34, 51, 62}, minima = {63, 0, 5, 6, 50, 33, 16, 1};
  std::string codes, fifth = Bytes(32, 0b10000001);                                             // sub-blocks 0 and 7
  for (int pair = 0; pair < 4; ++pair) codes += Bytes(32, (2 * pair) | ((2 * pair + 1) << 4));  // code = sub-block
  std::vector<float> four, five;
  for (int sub = 0; sub < 8; ++sub) {
    float minimum = 0.25f * static_cast<float>(minima[sub]), scale = 0.5f * static_cast<float>(scales[sub]);
    for (int i = 0; i < 32; ++i) {
      four.push_back(scale * static_cast<float>(sub) - minimum);
      five.push_back(scale * static_cast<float>(sub + (sub % 7 == 0 ? 16 : 0)) - minimum);
    }
  }
  std::string head = Half(0.5f) + Half(0.25f) + SixBitPairs(scales, minima);
  EXPECT_TRUE(Near(Values(GgmlType::kQ4_K, head + codes), four, Exact()));
  EXPECT_TRUE(Near(Values(GgmlType::kQ5_K, head + fifth + codes), five, Exact()));
}

TEST(GgufDequantize, Q6_K) {
  std::string low = Bytes(128, 0), high = Bytes(64, 0b10101010), scales = Bytes(16, 1);  // all codes 32: zero
  low[64 + 5] = 0x01;                                                                    // element 128 + 5 low nibble 1
  low[0] = static_cast<char>(0xf0);                                                      // element 64 low nibble 15
  high[31] = static_cast<char>(0b00101010);                                              // element 127: code 0
  scales[7] = static_cast<char>(-3);                                                     // elements 112..127
  std::vector<float> expected = Repeat(256, 0);
  expected[133] = 1;
  expected[64] = 15;
  expected[127] = -3 * -32;
  EXPECT_TRUE(Near(Values(GgmlType::kQ6_K, low + high + scales + Half(1)), expected, Exact()));
}

// The published table: every code, in both halves.
const std::vector<float> kNonLinearTable = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

TEST(GgufDequantize, IQ4_NL) {
  std::string codes;
  std::vector<float> expected(32);
  for (int i = 0; i < 16; ++i) {
    codes += static_cast<char>(i | ((15 - i) << 4));
    expected[i] = 0.5f * kNonLinearTable[i];
    expected[i + 16] = 0.5f * kNonLinearTable[15 - i];
  }
  EXPECT_TRUE(Near(Values(GgmlType::kIQ4_NL, Half(0.5f) + codes), expected, Exact()));
}

TEST(GgufDequantize, IQ4_XS) {
  // Six bits of scale for each 32 elements, low nibbles and then high pairs; 32 stands for zero.
  std::vector<int> scales = {0, 31, 32, 33, 63, 16, 47, 5};
  std::string low = Bytes(4, 0), codes;
  int high = 0;
  std::vector<float> expected;
  for (int sub = 0; sub < 8; ++sub) {
    low[sub / 2] = static_cast<char>(low[sub / 2] | ((scales[sub] & 15) << (sub % 2 * 4)));
    high |= (scales[sub] >> 4) << (sub * 2);
    for (int half : {0, 1})
      for (int i = 0; i < 16; ++i)
        expected.push_back(2 * static_cast<float>(scales[sub] - 32) * kNonLinearTable[half ? (i + sub) % 16 : i]);
    for (int i = 0; i < 16; ++i) codes += static_cast<char>(i | ((i + sub) % 16 << 4));
  }
  std::string block = Half(2) + std::string{static_cast<char>(high & 255), static_cast<char>(high >> 8)} + low + codes;
  EXPECT_TRUE(Near(Values(GgmlType::kIQ4_XS, block), expected, Exact()));
}

TEST(GgufDequantize, NamesTheTypesThatAreNotRead) {
  for (const char* name : {"IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "TQ1_0", "TQ2_0",
                           "MXFP4", "NVFP4", "Q8_1", "Q8_K", "Q1_0", "Q4_0_8_8", "F64"}) {
    uint32_t id = 0;
    while (id < 100 && GgmlTypeName(id) != name) ++id;
    ASSERT_LT(id, 100u) << name;
    EXPECT_EQ(FindGgmlType(id), nullptr) << name;
  }
}

TEST(GgufDequantize, BlocksAreIndependent) {
  std::string first = Half(1) + Bytes(32, 3), second = Half(-2) + Bytes(32, 5);
  std::vector<float> expected = Repeat(32, 3);
  expected.insert(expected.end(), 32, -10);
  EXPECT_TRUE(Near(Values(GgmlType::kQ8_0, first + second), expected, Exact()));
}

}  // namespace
}  // namespace ecld
