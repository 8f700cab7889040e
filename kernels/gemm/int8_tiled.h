#pragma once
// The frame of the products with 8-bit activations over interleaved weights. The rows of x are rounded to 8 bits once
// for all products of a call, then tiles of rows times 16 outputs are computed as integer dot products, one per group,
// and summed in float32. An instruction set supplies the two inner functions; int8_portable.cpp holds the plain ones,
// which define the result. Which threads, in what order and where the memory comes from is decided in int8_tiled.cpp.
//
//   an activation group is a weight group, cut into pieces of at most 128 inputs
//   y[r, o] = sum over groups of  x_scale[r, g] * scale[o, g] * (sum over g of code_x * code_w - zero[o, g] * sum
//   code_x)

#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>
#include <span>

#include "kernels/gemm/implementations.h"
#include "kernels/packing/interleaved.h"

namespace ecld {

inline constexpr int64_t kMaxInt8Rows = 8;
inline constexpr int64_t kActivationBlocks = 4;  // of 32 inputs, the most in an activation group

struct Int8Activations {
  const int8_t* codes;        // [rows, stride], zero beyond the inputs
  const float* scales;        // [groups, group_stride], a column for each row
  const int32_t* minus_sums;  // as scales: minus the sum of the group's codes; fits into 16 bits
  int64_t stride, group_stride;
};

struct Int8Tile {
  const WeightView& weight;
  int64_t tile;       // of 16 outputs
  Int8Activations x;  // from the first row on
  int64_t rows;
  float* y;  // [rows, outputs of the tile that exist], rows y_stride apart
  int64_t y_stride;
};

struct Int8Kernels {
  int64_t rows;  // the most in one Int8Tile; 2 to kMaxInt8Rows
  // One group of 32 * blocks inputs (blocks <= kActivationBlocks).
  void (*quantize)(const float* x, int64_t blocks, int8_t* codes, float* scale, int32_t* minus_sum);
  void (*multiply)(const Int8Tile& tile);
};

void GemmInt8(const Int8Kernels& kernels, std::span<const GemmArgs> products, ThreadPool& pool, GemmScratch& scratch);

// How a group is rounded: code = x * inverse to nearest, ties to even. A NaN or an infinity makes the scale NaN, so
// that it is seen in the result; a group without anything above 2^-100 is zero. In both cases the inverse is zero.
struct ActivationScale {
  float scale, inverse;
};

// largest_bits: the largest |x| of the group as an integer, an order in which NaN is the largest.
inline ActivationScale ScaleOfActivations(uint32_t largest_bits) {
  const auto largest = std::bit_cast<float>(largest_bits);
  if (largest_bits >= 0x7f800000u) return {std::numeric_limits<float>::quiet_NaN(), 0};
  if (largest < 0x1p-100f) return {0, 0};
  return {largest / 127, 127 / largest};
}

// Vectors of a block that hold low bits; see INTERLEAVED.md.
template <int kBits>
inline constexpr int kVectors = kBits == 8   ? 8
                                : kBits >= 4 ? 4
                                             : 2;

// Outputs of a tile that exist.
inline int64_t TileWidth(const Int8Tile& tile) {
  return std::min(kTileOutputs, tile.weight.out_features - tile.tile * kTileOutputs);
}

// Asks memory for the codes a page further on: processors fetch ahead within a page only.
template <int kBits>
inline __attribute__((always_inline)) void FetchAhead(const std::byte* block) {
  constexpr int64_t kAheadBytes = 4096;
#pragma GCC unroll 8
  for (int line = 0; line < kBits; ++line) __builtin_prefetch(block + kAheadBytes + 64 * line);
}

// Blocks of 32 inputs in a weight group.
inline int64_t GroupBlocks(const WeightView& weight) {
  return weight.format.group_size > 0 ? weight.format.group_size / kBlockInputs : Blocks(weight);
}

}  // namespace ecld
