// The tiled layout of the CUDA kernels and what lanes make of it: every code, every zero point, every place.

#include "kernels/gemm/cuda/layout.h"

#include <gtest/gtest.h>

#include <fmt/format.h>

#include <array>
#include <set>

#include "kernels/cuda/lanes.h"
#include "tests/testing/near.h"
#include "tests/testing/owned_weight.h"

namespace ecld {
namespace {

using cuda::FragmentColumn;
using cuda::FragmentRow;

// Value j (0..7) of a fragment as a float.
template <DType kType>
float ValueOf(const uint32_t (&a)[4], int j) {
  return cuda::ToFloat<kType>(a[j / 2] >> 16 * (j % 2) & 0xffffu);
}

TEST(CudaLanes, FragmentsHoldEveryPlaceOnce) {
  std::set<std::pair<int, int>> places;
  for (int lane = 0; lane < 32; ++lane)
    for (int j = 0; j < 8; ++j) places.emplace(FragmentRow(lane, j), FragmentColumn(lane, j));
  EXPECT_EQ(places.size(), 256u);
  EXPECT_EQ(*places.begin(), std::pair(0, 0));
  EXPECT_EQ(*places.rbegin(), std::pair(15, 15));
}

// A lane's words of a tile, as gemm/cuda/layout.h draws them, with code (step, j) = value(step, j).
template <int kBits, class Value>
std::array<uint32_t, kBits> Words(const Value& value) {
  std::array<uint32_t, kBits> words{};
  for (uint32_t step = 0; step < 4; ++step)
    for (uint32_t j = 0; j < 8; ++j) {
      const uint32_t code = value(step, j), upper = j % 2 * 16, pair = j / 2;
      if constexpr (kBits == 8) words[step * 2 + j / 4] |= code << 8 * (j % 4);
      if constexpr (kBits == 4) words[step] |= code << (upper + 4 * pair);
      if constexpr (kBits < 4) words[step / 2] |= (code & 3) << (upper + 8 * (step % 2) + 2 * pair);
      if constexpr (kBits == 3) words[2] |= (code >> 2) << (upper + 4 * step + pair);
    }
  return words;
}

// Every code at every place of a lane, less every zero point, is exact.
template <int kBits, DType kType>
void EveryCodeAndZero() {
  constexpr uint32_t kCodes = 1u << kBits;
  for (uint32_t zero = 0; zero < kCodes; ++zero) {
    const uint32_t other = kCodes - 1 - zero;  // of the row 8 further down
    const uint32_t operand[2] = {cuda::ZeroOperand<kBits, kType>(zero), cuda::ZeroOperand<kBits, kType>(other)};
    for (uint32_t code = 0; code < kCodes; ++code) {
      const auto value = [&](uint32_t step, uint32_t j) { return (code + 3 * j + 5 * step) % kCodes; };
      const auto words = Words<kBits>(value);
      for (int step = 0; step < 4; ++step) {
        uint32_t a[4];
        float f[8];
        cuda::Fragment<kBits, kType>(words.data(), step, operand, a);
        cuda::Floats<kBits>(words.data(), step, f);
        for (int j = 0; j < 8; ++j) {
          const auto u = static_cast<float>(value(static_cast<uint32_t>(step), static_cast<uint32_t>(j)));
          const auto z = static_cast<float>(FragmentRow(0, j) == 0 ? zero : other);
          ASSERT_EQ(ValueOf<kType>(a, j), u - z) << kBits << " bits, code " << u << ", zero " << zero << ", j " << j;
          ASSERT_EQ(f[j], u + cuda::kFloatOffset<kBits>);
        }
      }
    }
  }
}

TEST(CudaLanes, EveryCodeLessEveryZeroPointIsExact) {
  EveryCodeAndZero<2, DType::kF16>();
  EveryCodeAndZero<2, DType::kBF16>();
  EveryCodeAndZero<3, DType::kF16>();
  EveryCodeAndZero<3, DType::kBF16>();
  EveryCodeAndZero<4, DType::kF16>();
  EveryCodeAndZero<4, DType::kBF16>();
  EveryCodeAndZero<8, DType::kF16>();
  EveryCodeAndZero<8, DType::kBF16>();
}

TEST(CudaLanes, PermuteChoosesBytes) {
  EXPECT_EQ(cuda::Permute(0x33221100u, 0x77665544u, 0x7351u), 0x77335511u);
  EXPECT_EQ(cuda::Permute(0x33221100u, 0x77665544u, 0x0000u), 0u);
}

// Eight rows of x, read as ldmatrix reads them, touch all banks once; and no two chunks of a stage lie in one place.
TEST(CudaLanes, SwizzleSpreadsRowsOverBanks) {
  std::set<uint32_t> places;
  for (int row = 0; row < 48; ++row)
    for (int chunk = 0; chunk < 8; ++chunk) places.insert(cuda::Swizzle128(row, chunk));
  EXPECT_EQ(places.size(), 48u * 8);
  EXPECT_EQ(*places.rbegin(), 48u * 128 - 16);
  for (int first = 0; first < 48; first += 8)
    for (int chunk = 0; chunk < 8; ++chunk) {
      std::set<uint32_t> banks;
      for (int row = first; row < first + 8; ++row) banks.insert(cuda::Swizzle128(row, chunk) % 128);
      EXPECT_EQ(banks.size(), 8u);
    }
}

// The weights as a lane reads them from the tiles are those of ReadRow.
template <int kBits>
void TilesHoldTheWeights(const WeightView& rows) {
  ThreadPool pool(2);
  std::vector<std::byte> bytes(CudaTiledBytes(rows), std::byte{0xee});
  CudaTile(rows, bytes.data(), pool);
  const CudaWeight tiled = CudaTiled(rows, bytes.data());
  const int64_t groups = rows.format.Groups(rows.in_features), group_size = rows.format.GroupSize(rows.in_features);
  std::vector<std::vector<float>> expected(static_cast<size_t>(rows.out_features));
  for (size_t o = 0; o < expected.size(); ++o) {
    expected[o].resize(static_cast<size_t>(rows.in_features));
    ReadRow(rows, static_cast<int64_t>(o), expected[o].data());
  }
  for (int64_t tile_n = 0; tile_n < tiled.TilesN(); ++tile_n)
    for (int64_t tile_k = 0; tile_k < tiled.TilesK(); ++tile_k)
      for (int64_t slab = 0; slab < 4; ++slab)
        for (int lane = 0; lane < 32; ++lane)
          for (int step = 0; step < 4; ++step) {
            const std::byte* from = tiled.codes + (tile_n * tiled.TilesK() + tile_k) * cuda::TileBytes(kBits) +
                                    slab * cuda::SlabBytes(kBits);
            uint32_t words[kBits];
            cuda::ReadLane<kBits>(
                lane, [&](uint32_t offset, auto& chunk) { std::memcpy(&chunk, from + offset, sizeof(chunk)); }, words);
            float f[8];
            cuda::Floats<kBits>(words, step, f);
            for (int j = 0; j < 8; ++j) {
              const int64_t o = tile_n * 64 + slab * 16 + FragmentRow(lane, j);
              const int64_t i = tile_k * 64 + step * 16 + FragmentColumn(lane, j);
              const float code = f[j] - cuda::kFloatOffset<kBits>;
              if (o >= rows.out_features || i >= rows.in_features) {
                ASSERT_EQ(code, 0) << "padding";
                continue;
              }
              const int64_t place = (((tile_n * groups + i / group_size) * 4 + slab) * 8 + lane / 4) * 2 + j / 2 % 2;
              float scale;
              ToFloat(rows.scale_dtype, tiled.scales + place * 2, 1, &scale);
              const auto zero = tiled.zeros ? static_cast<float>(std::to_integer<int>(tiled.zeros[place]))
                                            : static_cast<float>(rows.format.MidCode());
              ASSERT_EQ((code - zero) * scale, expected[static_cast<size_t>(o)][static_cast<size_t>(i)])
                  << "output " << o << " input " << i;
            }
          }
}

TEST(CudaLayout, TilesHoldTheWeights) {
  Random random(7);
  for (int bits : {2, 3, 4, 8})
    for (int64_t group : {32, 64, 128, 0})
      for (bool symmetric : {true, false})
        for (auto [n, k] : {std::pair<int64_t, int64_t>{1, 1}, {64, 64}, {70, 200}, {17, 96}}) {
          const PackedFormat format = {.bits = bits, .group_size = group, .symmetric = symmetric};
          SCOPED_TRACE(fmt::format("{} n {} k {}", format.Name(), n, k));
          const auto weight = OwnedWeight::Packed(n, k, format, k % 2 ? DType::kF16 : DType::kBF16, random);
          ASSERT_TRUE(CanCudaTile(weight.view()));
          if (bits == 2) TilesHoldTheWeights<2>(weight.view());
          if (bits == 3) TilesHoldTheWeights<3>(weight.view());
          if (bits == 4) TilesHoldTheWeights<4>(weight.view());
          if (bits == 8) TilesHoldTheWeights<8>(weight.view());
        }
}

TEST(CudaLayout, WhatItCannotHold) {
  Random random(8);
  const auto can = [&](int bits, int64_t group, int64_t k, DType scales) {
    return CanCudaTile(OwnedWeight::Packed(8, k, {.bits = bits, .group_size = group}, scales, random).view());
  };
  EXPECT_TRUE(can(4, 128, 256, DType::kF16));
  EXPECT_TRUE(can(4, 96, 96, DType::kF16));  // one group
  EXPECT_FALSE(can(4, 96, 200, DType::kF16));
  EXPECT_FALSE(can(4, 16, 256, DType::kF16));
  EXPECT_FALSE(can(5, 128, 256, DType::kF16));
  EXPECT_FALSE(can(4, 128, 256, DType::kF32));
  EXPECT_FALSE(CanCudaTile(OwnedWeight::Dense(8, 64, DType::kBF16, random).view()));
}

}  // namespace
}  // namespace ecld
