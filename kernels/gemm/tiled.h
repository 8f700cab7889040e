#pragma once
// The frame of the float32 matrix products on CPUs: tiles of a few x rows times kTileColumns weight rows are computed
// as dot products, sums kept in registers. A few rows of x (decoding) take dense weights as they lie, each read once
// from memory. Otherwise a panel of weight rows is turned into floats first, as much as fits into the second-level
// cache. An instruction set supplies the inner functions; which threads, blocks and formats is decided in tiled.cpp.

#include <algorithm>
#include <array>
#include <cstring>

#include "kernels/gemm/implementations.h"

namespace ecld {

inline constexpr int64_t kTileColumns = 4;

struct TileArgs {
  const float* x;    // [rows, k], rows x_stride apart
  int64_t x_stride;  // in elements, like y_stride
  // k weights each, of the type that the tile function is for; any alignment; one may stand several times.
  std::array<const std::byte*, kTileColumns> columns;
  int64_t k;
  bool accumulate;  // add to y instead of setting it
  float* y;         // [rows, kTileColumns], rows y_stride apart
  int64_t y_stride;
};

using TileFunction = void (*)(int64_t rows, const TileArgs& args);  // 1 <= rows <= tile_rows
using WidenFunction = void (*)(const std::byte* from, int64_t count, float* to);
// to[i] = (code i - zero) * scale; codes start on a whole byte and may not be read beyond the last.
using DequantizeFunction = void (*)(int bits, const std::byte* codes, int64_t count, int zero, float scale, float* to);

struct TileKernels {
  int64_t tile_rows;  // the most rows of x in one tile
  TileFunction tile;  // of float32 weights
  WidenFunction widen_bf16, widen_f16;
  DequantizeFunction dequantize;
  // Up to so many rows of x, dense weights are multiplied as they lie, by these tiles.
  int64_t direct_rows = 0;
  TileFunction tile_bf16 = nullptr, tile_f16 = nullptr;
};

void GemmTiled(const TileKernels& kernels, std::span<const GemmArgs> products, ThreadPool& pool);

// The weights that do not fill a vector, as floats, and zeros after them.
template <DType kDtype, int64_t kLanes>
inline void TailFloats(const std::byte* from, int64_t count, float* to) {
  std::fill_n(to, kLanes, 0.0f);
  ToFloat(kDtype, from, static_cast<size_t>(count), to);
}

// Eight codes of 2, 3 or 4 bits, which fill kBits bytes. (Three bytes copied as one piece would be read back before the
// copy has reached the cache.)
template <int kBits>
inline uint32_t EightCodesWord(const std::byte* codes) {
  static_assert(kBits >= 2 && kBits <= 4);
  if constexpr (kBits == 4) {
    uint32_t word;
    std::memcpy(&word, codes, 4);
    return word;
  }
  uint16_t low;
  std::memcpy(&low, codes, 2);
  return kBits == 2 ? low : low | std::to_integer<uint32_t>(codes[2]) << 16;
}

// The plain form of TileKernels::dequantize, for the codes that do not fill a vector.
void DequantizeCodes(int bits, const std::byte* codes, int64_t count, int zero, float scale, float* to);

// The same for 5 and 6 bits in the order of rows, eight codes at a time, which fill kBits bytes.
template <int kBits>
void DequantizeEights(const std::byte* codes, int64_t count, int zero, float scale, float* to) {
  static_assert(kBits == 5 || kBits == 6);
  int64_t i = 0;
  for (; i + 8 <= count; i += 8, codes += kBits) {
    uint32_t low;
    std::memcpy(&low, codes, 4);
    uint64_t word = low | std::to_integer<uint64_t>(codes[4]) << 32;
    if constexpr (kBits == 6) word |= std::to_integer<uint64_t>(codes[5]) << 40;
    for (int j = 0; j < 8; ++j)
      to[i + j] = static_cast<float>(static_cast<int>(word >> (j * kBits) & ((1 << kBits) - 1)) - zero) * scale;
  }
  DequantizeCodes(kBits, codes, count - i, zero, scale, to + i);
}

// TileKernels::dequantize of an instruction set that has a Set::Dequantize<bits>(codes, count, zero, scale, to).
template <typename Set>
void DequantizeWith(int bits, const std::byte* codes, int64_t count, int zero, float scale, float* to) {
  switch (bits) {
    case 2:
      return Set::template Dequantize<2>(codes, count, zero, scale, to);
    case 3:
      return Set::template Dequantize<3>(codes, count, zero, scale, to);
    case 4:
      return Set::template Dequantize<4>(codes, count, zero, scale, to);
    case 5:
      return DequantizeEights<5>(codes, count, zero, scale, to);
    case 6:
      return DequantizeEights<6>(codes, count, zero, scale, to);
    default:
      return Set::template Dequantize<8>(codes, count, zero, scale, to);
  }
}

}  // namespace ecld
