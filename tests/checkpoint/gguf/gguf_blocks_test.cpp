#include "checkpoint/gguf/gguf_blocks.h"

#include <gtest/gtest.h>

#include "core/random.h"
#include "kernels/packing/packing.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/near.h"

namespace ecld {
namespace {

// A packed matrix whose codes, scales and zero points are set one by one.
struct Packed {
  PackedFormat format;
  int64_t rows, inputs;
  std::vector<uint8_t> codes = std::vector<uint8_t>(rows * inputs, static_cast<uint8_t>(format.MidCode()));
  std::vector<float> scales = std::vector<float>(rows * format.Groups(inputs), 0.25f);
  std::vector<uint8_t> zeros = std::vector<uint8_t>(scales.size(), static_cast<uint8_t>(format.MidCode()));
  std::vector<uint32_t> words, zero_words;

  void Randomize(uint64_t seed, DType scale_dtype) {
    Random random(seed);
    const auto values = static_cast<uint64_t>(format.MaxCode() + 1);
    for (uint8_t& code : codes) code = static_cast<uint8_t>(random.Below(values));
    for (uint8_t& zero : zeros) zero = static_cast<uint8_t>(random.Below(values));
    for (float& scale : scales) {
      const auto value = static_cast<float>(random.Uniform() * 0.1 + 1e-3);
      scale = scale_dtype == DType::kF16 ? HalfToFloat(FloatToHalf(value)) : Bf16ToFloat(FloatToBf16(value));
    }
  }

  WeightView View() {
    const int64_t groups = format.Groups(inputs), code_words = format.CodeWords(inputs);
    words.assign(static_cast<size_t>(rows * code_words), 0);
    for (int64_t row = 0; row < rows; ++row)
      PackBits(format.bits, &codes[row * inputs], inputs, &words[row * code_words]);
    zero_words.assign(static_cast<size_t>(format.ZeroWords(rows) * groups), 0);
    for (int64_t group = 0; group < groups; ++group) {
      std::vector<uint8_t> column;
      for (int64_t row = 0; row < rows; ++row) column.push_back(zeros[row * groups + group]);
      PackBits(format.bits, column.data(), rows, &zero_words[group], groups);
    }
    return {.out_features = rows,
            .in_features = inputs,
            .format = format,
            .codes = reinterpret_cast<const std::byte*>(words.data()),
            .scales = reinterpret_cast<const std::byte*>(scales.data()),
            .scale_dtype = DType::kF32,
            .zero_points = format.symmetric ? nullptr : reinterpret_cast<const std::byte*>(zero_words.data())};
  }
};

// The type that fits, after checking that its blocks have the values of the matrix, sign of zero included.
std::string FittedType(Packed& matrix) {
  ThreadPool pool(1);
  const WeightView weight = matrix.View();
  const GgmlType type = FitGgufType(weight, "m", pool);
  const GgmlTypeInfo& info = InfoOf(type);
  const int64_t blocks = matrix.inputs / info.block_elements;
  std::vector<std::byte> bytes(static_cast<size_t>(blocks * info.block_bytes));
  std::vector<float> expected(static_cast<size_t>(matrix.inputs)), found(expected.size());
  for (int64_t row = 0; row < matrix.rows; ++row) {
    EncodeGgufRow(weight, row, type, bytes.data());
    Dequantize(type, bytes.data(), blocks, found.data());
    ReadRow(weight, row, expected.data());
    EXPECT_TRUE(Near(found, expected, Exact())) << info.name << " row " << row;
  }
  return std::string(info.name);
}

TEST(GgufBlocks, EachFormatHasItsSmallestType) {
  struct Case {
    PackedFormat format;
    std::string type;
  };
  for (const Case& c : {Case{{4, 32, true}, "Q4_0"}, Case{{4, 96, true}, "Q4_0"}, Case{{4, 0, true}, "Q4_0"},
                        Case{{2, 32, true}, "Q4_0"}, Case{{3, 64, true}, "Q4_0"}, Case{{2, 32, false}, "Q4_0"},
                        Case{{3, 32, false}, "Q4_0"}, Case{{4, 32, false}, "Q5_0"}, Case{{8, 32, true}, "Q8_0"},
                        Case{{8, 128, true}, "Q8_0"}}) {
    Packed matrix{c.format, 40, 160};
    matrix.Randomize(5, DType::kBF16);
    EXPECT_EQ(FittedType(matrix), c.type) << c.format.Name();
  }
}

TEST(GgufBlocks, AnOffsetThatF16HoldsMakesQ4_1) {
  Packed matrix{{4, 32, false}, 32, 64};
  matrix.Randomize(6, DType::kF16);
  for (float& scale : matrix.scales) scale = 3.0f / 64;  // times at most 15: six bits
  EXPECT_EQ(FittedType(matrix), "Q4_1");
  matrix.zeros[7] = 15;
  matrix.scales[7] = 255.0f / 2048;  // 255 * 15 needs twelve bits
  EXPECT_EQ(FittedType(matrix), "Q5_0");
}

TEST(GgufBlocks, AGroupOfZerosMayHaveAnyScale) {
  Packed matrix{{4, 32, true}, 2, 64};
  matrix.scales[3] = 1e-30f;
  EXPECT_EQ(FittedType(matrix), "Q4_0");
}

TEST(GgufBlocks, CodesNearTheZeroPointMakeAsymmetric8BitsFit) {
  Packed matrix{{8, 32, false}, 2, 64};
  matrix.zeros[1] = 200;
  for (int i = 32; i < 64; ++i) matrix.codes[i] = static_cast<uint8_t>(100 + 3 * (i - 32));
  EXPECT_EQ(FittedType(matrix), "Q8_0");
  matrix.codes[33] = 60;
  EXPECT_ERROR(FittedType(matrix),
               "m: is W8 g32 asym: row 0, inputs 32 to 63 reaches 140 steps below its zero point and -7 above; GGUF's "
               "Q8_0 has 128 and 127: symmetric 8 bits fit");
}

TEST(GgufBlocks, SaysWhatDoesNotFit) {
  Packed narrow{{4, 16, true}, 2, 64}, ragged{{4, 32, true}, 2, 40};
  EXPECT_ERROR(FittedType(narrow),
               "m: is W4 g16 sym; GGUF has a scale for 32 inputs, so a group_size that is a "
               "multiple of 32 would fit");
  EXPECT_ERROR(FittedType(ragged), "m: is W4 g32 sym and has 40 inputs; GGUF stores 32 inputs together");
  for (float scale : {0.1f, 1e-9f, 1e6f}) {
    Packed matrix{{4, 32, true}, 2, 64};
    matrix.scales[2] = scale;
    matrix.codes[65] = 1;
    EXPECT_ERROR(FittedType(matrix),
                 fmt::format("m: is W4 g32 sym: the scale {} of row 1, inputs 0 to 31 is not an F16 "
                             "number, as scales are there; those of BF16 from",
                             scale));
  }
}

}  // namespace
}  // namespace ecld
