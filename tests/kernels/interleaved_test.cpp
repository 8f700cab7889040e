#include "kernels/packing/interleaved.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "core/random.h"
#include "kernels/packing/packing.h"
#include "tests/testing/owned_weight.h"

namespace ecld {
namespace {

struct Shape {
  int64_t out, in;
};

constexpr Shape kShapes[] = {{1, 1},    {16, 32},  {15, 31},  {17, 33}, {5, 100},
                             {37, 576}, {66, 172}, {3, 1025}, {64, 256}};

class Interleaved : public testing::TestWithParam<int> {};

TEST_P(Interleaved, HoldsTheSameValues) {
  Random random(1);
  ThreadPool pool(2);
  int turn = 0;
  for (int64_t group : {32, 64, 96, 128, 0})
    for (bool symmetric : {true, false})
      for (const Shape& shape : kShapes) {
        const PackedFormat format{.bits = GetParam(), .group_size = group, .symmetric = symmetric};
        const DType scale_dtype = std::array{DType::kF32, DType::kF16, DType::kBF16}[turn++ % 3];
        const auto rows = OwnedWeight::Packed(shape.out, shape.in, format, scale_dtype, random);
        const auto tiled = rows.Interleaved(pool);
        ASSERT_TRUE(tiled.view().interleaved);
        std::vector<float> expected(static_cast<size_t>(shape.in)), actual(expected.size());
        for (int64_t row = 0; row < shape.out; ++row) {
          ReadRow(rows.view(), row, expected.data());
          ReadRow(tiled.view(), row, actual.data());
          ASSERT_EQ(actual, expected) << format.Name() << " " << shape.out << " x " << shape.in << " row " << row;
        }
      }
}

INSTANTIATE_TEST_SUITE_P(Bits, Interleaved, testing::Values(2, 3, 4, 5, 6, 8),
                         [](const auto& bits) { return "W" + std::to_string(bits.param); });

TEST_P(Interleaved, EveryByteIsWrittenWhateverThePool) {
  Random random(2);
  ThreadPool single(1), several(3);
  const PackedFormat format{.bits = GetParam(), .group_size = 32, .symmetric = false};
  const auto rows = OwnedWeight::Packed(83, 75, format, DType::kF16, random);
  const uint64_t size = InterleavedBytes(rows.view());
  std::vector<std::byte> once(size, std::byte{0xaa}), again(size, std::byte{0x55});
  Interleave(rows.view(), once.data(), single);
  Interleave(rows.view(), again.data(), several);
  EXPECT_EQ(once, again);
}

// A file may hold anything after the last code of a row; the padding is zero all the same.
TEST(InterleavedLayout, BitsAfterTheLastCodeAreDropped) {
  const std::vector<uint32_t> clean = {0x00000321}, dirty = {0xffff0321};
  const float scale = 1;
  ThreadPool pool(1);
  auto interleave = [&](const std::vector<uint32_t>& words) {
    const WeightView rows{.out_features = 1,
                          .in_features = 4,
                          .format = {.bits = 4, .group_size = 32},
                          .codes = reinterpret_cast<const std::byte*>(words.data()),
                          .scales = reinterpret_cast<const std::byte*>(&scale),
                          .scale_dtype = DType::kF32};
    std::vector<std::byte> bytes(InterleavedBytes(rows));
    Interleave(rows, bytes.data(), pool);
    return bytes;
  };
  EXPECT_EQ(interleave(dirty), interleave(clean));
}

// The drawing of INTERLEAVED.md, read with its own words.
TEST(InterleavedLayout, BytesLieAsDrawn) {
  ThreadPool pool(1);
  for (int bits : {2, 3, 4, 5, 6, 8}) {
    std::vector<uint8_t> codes(32);
    for (size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<uint8_t>((i * 7 + 3) % (1u << bits));
    const PackedFormat format{.bits = bits, .group_size = 32};
    std::vector<uint32_t> words(4 * static_cast<size_t>(bits));  // [4, bits]
    PackBits(bits, codes.data(), 32, &words[3 * static_cast<size_t>(bits)]);
    const std::vector<float> scales(4, 1.0f);
    const WeightView rows{.out_features = 4,
                          .in_features = 32,
                          .format = format,
                          .codes = reinterpret_cast<const std::byte*>(words.data()),
                          .scales = reinterpret_cast<const std::byte*>(scales.data()),
                          .scale_dtype = DType::kF32};
    std::vector<std::byte> bytes(InterleavedBytes(rows));
    Interleave(rows, bytes.data(), pool);
    for (int i = 0; i < 32; ++i) {
      const int four = i / 4;
      auto byte = [&](int vector) {
        return std::to_integer<int>(bytes[static_cast<size_t>(64 * vector + 4 * 3 + i % 4)]);
      };
      int code = 0;
      if (bits == 8) code = byte(four);
      if (bits >= 4 && bits <= 6) code = byte(four % 4) >> (4 * (four / 4)) & 15;
      if (bits <= 3) code = byte(four % 2) >> (2 * (four / 2)) & 3;
      if (bits == 3) code |= (byte(2) >> four & 1) << 2;
      if (bits == 5) code |= (byte(4) >> four & 1) << 4;
      if (bits == 6) code |= (byte(4 + four % 2) >> (2 * (four / 2)) & 3) << 4;
      EXPECT_EQ(code, codes[static_cast<size_t>(i)]) << bits << " bits, input " << i;
    }
  }
}

TEST(InterleavedLayout, GroupsAreWholeBlocksOrTheRow) {
  EXPECT_TRUE(CanInterleave({.group_size = 32}));
  EXPECT_TRUE(CanInterleave({.group_size = 96}));
  EXPECT_TRUE(CanInterleave({.group_size = 0}));
  EXPECT_FALSE(CanInterleave({.group_size = 8}));
  EXPECT_FALSE(CanInterleave({.group_size = 48}));
}

TEST(InterleavedLayout, StoredBytesIncludeThePadding) {
  ThreadPool pool(1);
  Random random(3);
  const PackedFormat format{.bits = 3, .group_size = 64, .symmetric = false};
  const auto tiled = OwnedWeight::Packed(17, 70, format, DType::kF16, random).Interleaved(pool);
  // Two tiles of three blocks; two groups a tile: 4 x 16 scales of 2 bytes, 4 x 16 zero points.
  EXPECT_EQ(StoredBytes(tiled.view()), 2 * 3 * 3 * 64 + 4 * 16 * 2 + 4 * 16);
}

}  // namespace
}  // namespace ecld
