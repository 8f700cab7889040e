#include "kernels/cuda/machine.cuh"
#include "kernels/gemm/cuda_mma.h"

namespace ecld::cuda {
namespace {

template <int kBits, DType kType, int kColumns>
__global__ void __launch_bounds__(kMmaThreads) MmaKernel(const Product product) {
  Gpu gpu;
  MmaBody<kBits, kType, kColumns>(gpu, product);
}

template <int kBits, DType kType, int kColumns>
void LaunchColumns(const Product& product, CudaStream stream) {
  const dim3 grid(product.tiles_n, product.splits, (product.m + 8 * kColumns - 1) / (8 * kColumns));
  MmaKernel<kBits, kType, kColumns><<<grid, kMmaThreads, MmaSharedBytes(kBits, kColumns), stream>>>(product);
}

template <int kBits, DType kType>
void Launch(const Product& product, CudaStream stream) {
  switch (MmaColumns(product.m)) {
    case 1:
      return LaunchColumns<kBits, kType, 1>(product, stream);
    case 2:
      return LaunchColumns<kBits, kType, 2>(product, stream);
    case 4:
      return LaunchColumns<kBits, kType, 4>(product, stream);
    default:
      return LaunchColumns<kBits, kType, 6>(product, stream);
  }
}

template <int kBits>
void LaunchBits(const Product& product, DType type, CudaStream stream) {
  type == DType::kF16 ? Launch<kBits, DType::kF16>(product, stream) : Launch<kBits, DType::kBF16>(product, stream);
}

}  // namespace

void LaunchMma(const Product& product, int bits, DType type, CudaStream stream) {
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
  CheckLaunch("mma");
}

}  // namespace ecld::cuda
