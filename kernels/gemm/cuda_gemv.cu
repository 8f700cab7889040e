#include "kernels/cuda/machine.cuh"
#include "kernels/gemm/cuda_gemv.h"

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
    GemvKernel<kBits, kType, 1><<<grid, kGemvWarps * 32, GemvSharedBytes(1), stream>>>(product);
  else
    GemvKernel<kBits, kType, 2><<<grid, kGemvWarps * 32, GemvSharedBytes(2), stream>>>(product);
}

template <int kBits>
void LaunchBits(const Product& product, DType type, CudaStream stream) {
  type == DType::kF16 ? Launch<kBits, DType::kF16>(product, stream) : Launch<kBits, DType::kBF16>(product, stream);
}

}  // namespace

void LaunchGemv(const Product& product, int bits, DType type, CudaStream stream) {
  switch (bits) {
    case 2:
      LaunchBits<2>(product, type, stream);
      break;
    case 3:
      LaunchBits<3>(product, type, stream);
      break;
    case 4:
      LaunchBits<4>(product, type, stream);
      break;
    default:
      LaunchBits<8>(product, type, stream);
  }
  CheckLaunch("gemv");
}

}  // namespace ecld::cuda
