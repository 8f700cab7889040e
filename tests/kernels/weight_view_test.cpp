#include "kernels/packing/weight_view.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/error.h"
#include "kernels/packing/packing.h"

namespace ecld {
namespace {

const std::byte* Bytes(const std::vector<uint32_t>& words) { return reinterpret_cast<const std::byte*>(words.data()); }
const std::byte* Bytes(const std::vector<float>& values) { return reinterpret_cast<const std::byte*>(values.data()); }

// Two rows of 20 inputs in groups of 8: the last group has 4. Everything written out by hand from FORMAT.md.
struct Sample {
  static constexpr int64_t kOut = 2, kIn = 20, kGroups = 3;
  std::vector<uint8_t> codes;  // [2, 20]
  std::vector<uint32_t> words;
  std::vector<float> scales = {0.5f, 0.25f, 2.0f, 1.0f, 3.0f, 0.125f};
  std::vector<uint8_t> zeros = {0, 5, 2, 7, 3, 6};  // [2, 3]
  std::vector<uint32_t> zero_words = std::vector<uint32_t>(kGroups);
  WeightView view;

  explicit Sample(bool symmetric) {
    const PackedFormat format{.bits = 3, .group_size = 8, .symmetric = symmetric};
    for (int i = 0; i < kOut * kIn; ++i) codes.push_back(static_cast<uint8_t>(i * 5 % 8));
    words.resize(kOut * format.CodeWords(kIn));
    for (int row = 0; row < kOut; ++row) PackBits(3, &codes[row * kIn], kIn, &words[row * format.CodeWords(kIn)]);
    for (int g = 0; g < kGroups; ++g) {
      const uint8_t column[] = {zeros[g], zeros[kGroups + g]};
      PackBits(3, column, kOut, &zero_words[g], kGroups);
    }
    view = {.out_features = kOut,
            .in_features = kIn,
            .format = format,
            .codes = Bytes(words),
            .scales = Bytes(scales),
            .scale_dtype = DType::kF32,
            .zero_points = symmetric ? nullptr : Bytes(zero_words)};
  }
};

TEST(WeightView, PackedRowIsCodeLessZeroTimesScale) {
  for (bool symmetric : {true, false}) {
    Sample sample(symmetric);
    std::vector<float> row(Sample::kIn + 1, NAN);
    for (int r = 0; r < Sample::kOut; ++r) {
      ReadRow(sample.view, r, row.data());
      for (int i = 0; i < Sample::kIn; ++i) {
        int group = r * Sample::kGroups + i / 8;
        int zero = symmetric ? 4 : sample.zeros[group];
        EXPECT_EQ(row[i], static_cast<float>(sample.codes[r * Sample::kIn + i] - zero) * sample.scales[group]);
      }
      EXPECT_TRUE(std::isnan(row[Sample::kIn])) << "wrote past the row";
    }
  }
}

TEST(WeightView, LongGroupsAreReadWhole) {
  const PackedFormat format{.bits = 4, .group_size = 0, .symmetric = true};
  std::vector<uint8_t> codes(777);
  for (size_t i = 0; i < codes.size(); ++i) codes[i] = i * 7 % 16;
  std::vector<uint32_t> words(format.CodeWords(777));
  PackBits(4, codes.data(), 777, words.data());
  std::vector<float> scale = {0.5f}, row(777);
  ReadRow({.out_features = 1,
           .in_features = 777,
           .format = format,
           .codes = Bytes(words),
           .scales = Bytes(scale),
           .scale_dtype = DType::kF32},
          0, row.data());
  for (size_t i = 0; i < codes.size(); ++i) ASSERT_EQ(row[i], (codes[i] - 8) * 0.5f);
}

TEST(WeightView, DenseRow) {
  std::vector<float> values = {1, 2, 3, 4, 5, 6};
  float row[3];
  ReadRow({.out_features = 2, .in_features = 3, .dtype = DType::kF32, .data = Bytes(values)}, 1, row);
  EXPECT_EQ(row[0], 4);
  EXPECT_EQ(row[2], 6);
}

TEST(WeightView, StoredBytesCountsEveryPart) {
  Sample symmetric(true), asymmetric(false);
  EXPECT_EQ(StoredBytes(symmetric.view), 2 * 2 * 4 + 6 * 4);
  EXPECT_EQ(StoredBytes(asymmetric.view), 2 * 2 * 4 + 6 * 4 + 3 * 4);
  EXPECT_EQ(StoredBytes({.out_features = 3, .in_features = 5, .dtype = DType::kBF16}), 30);
}

TEST(PackedFormat, CountsAndNames) {
  PackedFormat format{.bits = 3, .group_size = 128, .symmetric = false};
  EXPECT_EQ(format.Groups(576), 5);
  EXPECT_TRUE(format.Ragged(576));
  EXPECT_EQ(format.CodeWords(576), 54);
  EXPECT_EQ(format.Name(), "W3 g128 asym");
  EXPECT_EQ((PackedFormat{.bits = 8, .group_size = 0}).Name(), "W8 row sym");
  EXPECT_EQ((PackedFormat{.bits = 8, .group_size = 0}).Groups(576), 1);
}

TEST(PackedFormat, CheckNamesTheField) {
  auto message = [](PackedFormat format) {
    try {
      CheckFormat(format, "config.json");
      return std::string();
    } catch (const Error& error) {
      return std::string(error.what());
    }
  };
  for (int bits : {2, 3, 4, 5, 6, 8}) EXPECT_EQ(message({.bits = bits, .group_size = 0}), "");
  EXPECT_EQ(message({.bits = 7}), "config.json: bits is 7, must be 2 to 6 or 8");
  EXPECT_EQ(message({.group_size = 12}),
            "config.json: group_size is 12, must be 0 (the whole row) or a positive multiple of 8 up to 2^30");
  EXPECT_EQ(
      message({.group_size = int64_t{1} << 62}),
      "config.json: group_size is 4611686018427387904, must be 0 (the whole row) or a positive multiple of 8 up to "
      "2^30");
  EXPECT_EQ(message({.group_size = -1}),
            "config.json: group_size is -1, must be 0 (the whole row) or a positive multiple of 8 up to 2^30");
}

}  // namespace
}  // namespace ecld
