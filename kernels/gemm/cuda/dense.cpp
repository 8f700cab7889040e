#include "kernels/gemm/cuda/dense.h"

#include <algorithm>

#include "kernels/gemm/cuda/gemm.h"

namespace ecld::cuda {
namespace {

constexpr uintptr_t kAlignment = 256;  // of cuBLAS's workspace

}  // namespace

int64_t DenseTiles(int64_t tiles_n, int64_t tiles_k, int64_t slab_bytes) {
  const int64_t tile_bytes = kCudaTile * tiles_k * kCudaTile * 2;
  return std::clamp<int64_t>(slab_bytes / tile_bytes, 1, tiles_n);
}

uint64_t DenseWorkspace(int64_t tiles_n, int64_t tiles_k) {
  const int64_t dense = DenseTiles(tiles_n, tiles_k) * kCudaTile * tiles_k * kCudaTile * 2;
  return kAlignment + kCublasWorkspaceBytes + static_cast<uint64_t>(dense);
}

void RunDense(const CudaGemmArgs& args, const Cublas& blas, std::byte* workspace, CudaStream stream,
              const DequantizeLaunch& dequantize, int64_t slab_bytes) {
  const CudaWeight& weight = args.weight;
  const int64_t at_once = DenseTiles(weight.TilesN(), weight.TilesK(), slab_bytes);
  const uintptr_t past = reinterpret_cast<uintptr_t>(workspace) % kAlignment;
  std::byte* aligned = workspace + (past == 0 ? 0 : kAlignment - past);
  auto* dense = reinterpret_cast<uint16_t*>(aligned + kCublasWorkspaceBytes);
  const Product product = MakeProduct(args, 0, args.m);
  for (int64_t first = 0; first < weight.TilesN(); first += at_once) {
    const int64_t tiles = std::min(at_once, weight.TilesN() - first);
    dequantize(product, static_cast<int>(first), static_cast<int>(tiles), dense);
    blas.Multiply({.type = args.type,
                   .m = args.m,
                   .n = std::min(tiles * kCudaTile, weight.out_features - first * kCudaTile),
                   .k = weight.in_features,
                   .weight = dense,
                   .weight_stride = weight.TilesK() * kCudaTile,
                   .x = args.x,
                   .x_stride = args.x_stride,
                   .y = static_cast<std::byte*>(args.y) + first * kCudaTile * (args.wide_y ? 4 : 2),
                   .y_stride = args.y_stride,
                   .wide_y = args.wide_y},
                  aligned, stream);
  }
}

}  // namespace ecld::cuda
