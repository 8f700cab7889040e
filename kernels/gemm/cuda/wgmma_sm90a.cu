#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/machine_sm90a.cuh"
#include "kernels/gemm/cuda/wgmma.h"

namespace ecld::cuda {
namespace {

struct WgmmaArgument {
  TensorMap x_map;
  Product product;
};

template <int kBits, DType kType, int kQuads>
__global__ void __launch_bounds__(kWgmmaThreads, 1) WgmmaKernel(const __grid_constant__ WgmmaArgument argument) {
  Gpu90 gpu;
  WgmmaBody<kBits, kType, kQuads>(gpu, argument.product, argument.x_map);
}

template <int kBits, DType kType, int kQuads>
void Launch(const Product& product, CudaStream stream) {
  constexpr uint32_t kShared = WgmmaSharedBytes(kBits, kQuads);
  static_assert(kShared <= 227 << 10);
  const auto kernel = WgmmaKernel<kBits, kType, kQuads>;
  cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kShared);
  const dim3 grid((product.tiles_n + 1) / 2, product.splits, (product.m + 8 * kQuads - 1) / (8 * kQuads));
  const WgmmaArgument argument = {EncodeTensorMap(XBox(product, kType, 8 * kQuads)), product};
  LaunchEarly(kernel, grid, kWgmmaThreads, kShared, stream, argument);
}

}  // namespace

void LaunchWgmma(const Product& product, int bits, DType type, CudaStream stream) {
  WithFormat(bits, type, [&](auto constant_bits, auto constant_type) {
    constexpr int kBits = decltype(constant_bits)::value;
    constexpr DType kType = decltype(constant_type)::value;
    WgmmaRows(product.m) == 64 ? Launch<kBits, kType, 8>(product, stream) : Launch<kBits, kType, 16>(product, stream);
  });
  CheckLaunch("wgmma");
}

}  // namespace ecld::cuda
