#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/machine.cuh"
#include "kernels/gemm/cuda/mma.h"

namespace ecld::cuda {
namespace {

// One block on a multiprocessor is enough: else the assembler keeps a register in memory so that more blocks fit.
template <int kBits, DType kType, int kColumns>
__global__ void __launch_bounds__(kMmaThreads, 1) MmaKernel(const Product product) {
  Gpu gpu;
  MmaBody<kBits, kType, kColumns>(gpu, product);
}

template <int kBits, DType kType, int kColumns>
void LaunchColumns(const Product& product, CudaStream stream) {
  const dim3 grid(product.tiles_n, product.splits, (product.m + 8 * kColumns - 1) / (8 * kColumns));
  LaunchEarly(MmaKernel<kBits, kType, kColumns>, grid, kMmaThreads, MmaSharedBytes(kBits, kColumns), stream, product);
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

}  // namespace

void LaunchMma(const Product& product, int bits, DType type, CudaStream stream) {
  WithFormat(bits, type, [&](auto constant_bits, auto constant_type) {
    Launch<decltype(constant_bits)::value, decltype(constant_type)::value>(product, stream);
  });
  CheckLaunch("mma");
}

}  // namespace ecld::cuda
