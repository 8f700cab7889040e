// The tiled product for any CPU: four lanes of the compiler's vector type, which is SSE2 or NEON or plain floats.

#include <cstring>

#include "kernels/gemm/tiled.h"

namespace ecld {
namespace {

using Vector = float __attribute__((vector_size(16)));
constexpr int64_t kLanes = 4;

template <typename T>
Vector Load(const T* from) {
  Vector vector;
  std::memcpy(&vector, from, sizeof(vector));
  return vector;
}

template <int kRows>
void Tile(const TileArgs& args) {
  Vector sums[kRows][kTileColumns] = {};
  int64_t k = 0;
  for (; k + kLanes <= args.k; k += kLanes)
    for (int r = 0; r < kRows; ++r) {
      const Vector x = Load(args.x + r * args.x_stride + k);
      for (int c = 0; c < kTileColumns; ++c) sums[r][c] += x * Load(args.columns[c] + k * sizeof(float));
    }
  for (int r = 0; r < kRows; ++r)
    for (int c = 0; c < kTileColumns; ++c) {
      float sum = (sums[r][c][0] + sums[r][c][1]) + (sums[r][c][2] + sums[r][c][3]);
      for (int64_t i = k; i < args.k; ++i) {
        float w;
        std::memcpy(&w, args.columns[c] + i * sizeof(float), sizeof(w));
        sum += args.x[r * args.x_stride + i] * w;
      }
      float& y = args.y[r * args.y_stride + c];
      y = args.accumulate ? y + sum : sum;
    }
}

void TileOf(int64_t rows, const TileArgs& args) { return rows == 2 ? Tile<2>(args) : Tile<1>(args); }

template <DType kDtype>
void Widen(const std::byte* from, int64_t count, float* to) {
  ToFloat(kDtype, from, static_cast<size_t>(count), to);
}

constexpr TileKernels kKernels = {.tile_rows = 2,
                                  .tile = TileOf,
                                  .widen_bf16 = Widen<DType::kBF16>,
                                  .widen_f16 = Widen<DType::kF16>,
                                  .dequantize = DequantizeCodes};

}  // namespace

void GemmPortable(std::span<const GemmArgs> products, ThreadPool& pool, GemmScratch&) {
  GemmTiled(kKernels, products, pool);
}

}  // namespace ecld
