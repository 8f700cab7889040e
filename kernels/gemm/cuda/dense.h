#pragma once
// The product of tiled weights by way of a dense matrix: some rows of the weights at a time are written as 16-bit
// floats and multiplied by cuBLAS. For many rows of x, where reading the weights costs little beside multiplying; and
// a second opinion on the other kernels. The weights are rounded to 16 bits before they are multiplied, the other
// kernels multiply the exact ones.

#include <functional>

#include "kernels/cuda/cublas.h"
#include "kernels/gemm/cuda/product.h"

namespace ecld::cuda {

// Of the dense matrix, so that what was written is read from the cache of a large GPU. At least 64 outputs.
inline constexpr int64_t kDenseSlabBytes = 32 << 20;

// Writes `tiles` tiles of 64 outputs from first_tile on to dense [64 * tiles, 64 * tiles_k].
using DequantizeLaunch = std::function<void(const Product& product, int first_tile, int tiles, uint16_t* dense)>;

// Tiles of 64 outputs that are dense at a time.
int64_t DenseTiles(int64_t tiles_n, int64_t tiles_k, int64_t slab_bytes = kDenseSlabBytes);

// Bytes of workspace: alignment, cuBLAS's, the dense rows.
uint64_t DenseWorkspace(int64_t tiles_n, int64_t tiles_k);

// workspace: DenseWorkspace(...) bytes. slab_bytes: at most kDenseSlabBytes.
void RunDense(const CudaGemmArgs& args, const Cublas& blas, std::byte* workspace, CudaStream stream,
              const DequantizeLaunch& dequantize, int64_t slab_bytes = kDenseSlabBytes);

// Queues dequantize.cu.
void LaunchDequantize(const Product& product, int first_tile, int tiles, int bits, DType type, uint16_t* dense,
                      CudaStream stream);

}  // namespace ecld::cuda
