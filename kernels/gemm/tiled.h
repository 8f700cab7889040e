#pragma once
// The frame of the float32 matrix products on CPUs: a panel of weight rows is turned into floats, as much as fits into
// the second-level cache, and tiles of x rows times kTileColumns panel rows are computed as dot products, sums kept in
// registers. An instruction set supplies the inner functions; which threads, blocks and formats is decided in
// tiled.cpp alone. A few rows of x (decoding) take the same way with a panel that is used once, from the cache.

#include <cstring>

#include "kernels/gemm/implementations.h"

namespace ecld {

inline constexpr int64_t kTileColumns = 4;

struct TileArgs {
  const float* x;      // [rows, k], rows x_stride apart
  const float* panel;  // [kTileColumns, k], rows panel_stride apart
  int64_t x_stride, panel_stride;
  int64_t k;
  bool accumulate;  // add to y instead of setting it
  float* y;         // [rows, kTileColumns], rows y_stride apart
  int64_t y_stride;
};

struct TileKernels {
  int64_t tile_rows;                                 // the most rows of x in one tile
  void (*tile)(int64_t rows, const TileArgs& args);  // 1 <= rows <= tile_rows
  void (*widen_bf16)(const std::byte* from, int64_t count, float* to);
  void (*widen_f16)(const std::byte* from, int64_t count, float* to);
  // to[i] = (code i - zero) * scale; codes start on a whole byte and may not be read beyond the last.
  void (*dequantize)(int bits, const std::byte* codes, int64_t count, int zero, float scale, float* to);
};

void GemmTiled(const TileKernels& kernels, const GemmArgs& args, ThreadPool& pool);

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

}  // namespace ecld
