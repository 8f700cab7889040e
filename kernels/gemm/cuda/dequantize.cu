#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/machine.cuh"
#include "kernels/gemm/cuda/dequantize.h"

namespace ecld::cuda {
namespace {

template <int kBits, DType kType>
__global__ void __launch_bounds__(kDequantizeThreads) DequantizeKernel(const Dequantize work) {
  Gpu gpu;
  DequantizeBody<kBits, kType>(gpu, work);
}

}  // namespace

void LaunchDequantize(const Product& product, int first_tile, int tiles, int bits, DType type, uint16_t* dense,
                      CudaStream stream) {
  const dim3 grid((product.tiles_k + kDequantizeTiles - 1) / kDequantizeTiles, tiles);
  WithFormat(bits, type, [&](auto constant_bits, auto constant_type) {
    LaunchEarly(DequantizeKernel<decltype(constant_bits)::value, decltype(constant_type)::value>, grid,
                kDequantizeThreads, kDequantizeSharedBytes, stream, Dequantize{product, first_tile, dense});
  });
  CheckLaunch("dequantize");
}

}  // namespace ecld::cuda
