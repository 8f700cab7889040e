// The definition of the product with 8-bit activations, in plain loops for any processor; see int8_tiled.h. Every
// other implementation rounds to the same codes and differs only in the order of the float32 sums.

#include <array>
#include <cmath>

#include "kernels/gemm/int8_tiled.h"

namespace ecld {
namespace {

void Quantize(const float* x, int64_t blocks, int8_t* codes, float* scale, int32_t* minus_sum) {
  const int64_t count = blocks * kBlockInputs;
  uint32_t largest = 0;
  for (int64_t i = 0; i < count; ++i) largest = std::max(largest, std::bit_cast<uint32_t>(x[i]) & 0x7fffffffu);
  const ActivationScale rounding = ScaleOfActivations(largest);
  *scale = rounding.scale;
  *minus_sum = 0;
  if (rounding.inverse == 0) {
    std::fill_n(codes, count, int8_t{0});
    return;
  }
  for (int64_t i = 0; i < count; ++i) {
    codes[i] = static_cast<int8_t>(std::nearbyint(x[i] * rounding.inverse));
    *minus_sum -= codes[i];
  }
}

using BlockCodes = std::array<uint8_t, kTileOutputs * kBlockInputs>;  // [16 outputs, 32 inputs]

void Unpack(int bits, const std::byte* block, BlockCodes& codes) {
  for (int64_t lane = 0; lane < kTileOutputs; ++lane)
    for (int four = 0; four < kBlockInputs / 4; ++four) {
      const uint32_t word = FourCodes(bits, block, lane, four);
      for (int j = 0; j < 4; ++j)
        codes[static_cast<size_t>(lane * kBlockInputs + 4 * four + j)] = static_cast<uint8_t>(word >> (8 * j));
    }
}

using Lanes = std::array<int32_t, kTileOutputs>;

void AddDots(const BlockCodes& codes, const int8_t* x, Lanes& sums) {
  for (size_t lane = 0; lane < kTileOutputs; ++lane) {
    int32_t sum = 0;
    for (size_t i = 0; i < kBlockInputs; ++i) sum += codes[lane * kBlockInputs + i] * x[i];
    sums[lane] += sum;
  }
}

constexpr int64_t kRows = kMaxInt8Rows;  // that use a block once it is unpacked

void Multiply(const Int8Tile& tile) {
  const WeightView& weight = tile.weight;
  const int64_t blocks = Blocks(weight), group_blocks = GroupBlocks(weight);
  std::array<std::array<float, kTileOutputs>, kRows> totals{};
  BlockCodes codes;
  for (int64_t begin = 0, piece = 0; begin < blocks; ++piece) {
    const int64_t group = begin / group_blocks;
    const int64_t end = std::min({blocks, begin + kActivationBlocks, (group + 1) * group_blocks});
    std::array<Lanes, kRows> sums;
    for (int64_t r = 0; r < tile.rows; ++r)
      for (size_t lane = 0; lane < kTileOutputs; ++lane) {
        const int zero = weight.format.symmetric ? weight.format.MidCode()
                                                 : std::to_integer<int>(TileZeros(weight, tile.tile, group)[lane]);
        sums[r][lane] = zero * tile.x.minus_sums[piece * tile.x.group_stride + r];
      }
    for (int64_t block = begin; block < end; ++block) {
      Unpack(weight.format.bits, BlockAt(weight, tile.tile, block), codes);
      for (int64_t r = 0; r < tile.rows; ++r)
        AddDots(codes, tile.x.codes + r * tile.x.stride + block * kBlockInputs, sums[r]);
    }
    std::array<float, kTileOutputs> scales;
    ToFloat(weight.scale_dtype, TileScales(weight, tile.tile, group), kTileOutputs, scales.data());
    for (int64_t r = 0; r < tile.rows; ++r)
      for (size_t lane = 0; lane < kTileOutputs; ++lane)
        totals[r][lane] +=
            static_cast<float>(sums[r][lane]) * scales[lane] * tile.x.scales[piece * tile.x.group_stride + r];
    begin = end;
  }
  for (int64_t r = 0; r < tile.rows; ++r) std::copy_n(totals[r].begin(), TileWidth(tile), tile.y + r * tile.y_stride);
}

constexpr Int8Kernels kKernels = {.rows = kRows, .quantize = Quantize, .multiply = Multiply};

}  // namespace

void GemmInt8Portable(std::span<const GemmArgs> products, ThreadPool& pool, GemmScratch& scratch) {
  GemmInt8(kKernels, products, pool, scratch);
}

}  // namespace ecld
