#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/machine.cuh"
#include "kernels/gemm/cuda/gemv.h"

namespace ecld::cuda {
namespace {

template <int kBits, DType kType, int kRows>
__global__ void __launch_bounds__(kGemvWarps * 32) GemvKernel(const Product product) {
  Gpu gpu;
  GemvBody<kBits, kType, kRows>(gpu, product);
}

template <int kBits, DType kType>
void Launch(const Product& product, CudaStream stream) {
  const dim3 grid((product.out_features + 15) / 16);
  if (product.m == 1)
    LaunchEarly(GemvKernel<kBits, kType, 1>, grid, kGemvWarps * 32, GemvSharedBytes(1), stream, product);
  else
    LaunchEarly(GemvKernel<kBits, kType, 2>, grid, kGemvWarps * 32, GemvSharedBytes(2), stream, product);
}

}  // namespace

void LaunchGemv(const Product& product, int bits, DType type, CudaStream stream) {
  WithFormat(bits, type, [&](auto constant_bits, auto constant_type) {
    Launch<decltype(constant_bits)::value, decltype(constant_type)::value>(product, stream);
  });
  CheckLaunch("gemv");
}

}  // namespace ecld::cuda
