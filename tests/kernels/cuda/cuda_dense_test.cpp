// The product by way of a dense matrix: the kernel that writes it, whole, on the executor, and what is asked of cuBLAS,
// whose place a library of the tests takes.

#include "kernels/gemm/cuda/dense.h"

#include <fmt/format.h>

#include <array>
#include <cstdlib>

#include "kernels/gemm/cuda/dequantize.h"
#include "tests/testing/cuda_problem.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/gpu_executor.h"

namespace ecld {
namespace {

struct alignas(256) Line256 {
  std::byte bytes[256]{};
};

// As LaunchDequantize, on the executor; only `dense` may be written.
void DequantizeOnExecutor(CudaProblem& problem, const cuda::Product& product, int first_tile, int tiles,
                          uint16_t* dense, bool backwards = false) {
  GpuExecutor gpu(cuda::kDequantizeThreads);
  const auto bytes = static_cast<size_t>(tiles) * 64 * static_cast<size_t>(product.tiles_k) * 128;
  gpu.memory.Readable(problem.args().weight.codes, problem.tiled_bytes());
  gpu.memory.Writable(dense, bytes);
  gpu.memory.AfterPrevious(dense, bytes);
  const GpuGrid grid = {(product.tiles_k + cuda::kDequantizeTiles - 1) / cuda::kDequantizeTiles, tiles, 1};
  cuda::WithFormat(problem.rows().format.bits, problem.args().type, [&](auto bits, auto type) {
    const auto body = [&](GpuThread& machine) {
      cuda::DequantizeBody<decltype(bits)::value, decltype(type)::value>(machine, {product, first_tile, dense});
    };
    gpu.Launch(grid, cuda::kDequantizeSharedBytes, body, backwards);
  });
}

// Every format: the dense matrix holds the weights as the CPU reads them, rounded once.
TEST(CudaDense, DequantizedWeightsAreExact) {
  uint64_t seed = 1;
  for (int bits : {2, 3, 4, 8})
    for (int64_t group : {32, 64, 128, 0})
      for (bool symmetric : {true, false})
        for (DType type : {DType::kF16, DType::kBF16})
          for (auto [n, k] : {std::pair<int64_t, int64_t>{1, 1}, {70, 200}, {130, 97}, {16, 330}}) {
            const PackedFormat format = {.bits = bits, .group_size = group, .symmetric = symmetric};
            SCOPED_TRACE(fmt::format("{} {} n {} k {}", format.Name(), Name(type), n, k));
            CudaProblem problem(1, n, k, format, type, seed % 2 ? DType::kF16 : DType::kBF16, seed);
            ++seed;
            const cuda::Product product = cuda::MakeProduct(problem.args(), 0, 1);
            const int64_t stride = product.tiles_k * 64;
            const int first = product.tiles_n / 2, tiles = product.tiles_n - first;  // not all of them
            std::vector<Line256> dense(static_cast<size_t>(tiles * 64 * stride * 2 / 256));
            auto* halves = reinterpret_cast<uint16_t*>(dense.data());
            std::fill_n(halves, tiles * 64 * stride, uint16_t{0x7fff});
            DequantizeOnExecutor(problem, product, first, tiles, halves, seed % 2 == 0);
            std::vector<float> row(static_cast<size_t>(k));
            std::vector<uint16_t> rounded(row.size());
            for (int64_t o = first * 64; o < n; ++o) {
              ReadRow(problem.rows(), o, row.data());
              FromFloat(type, row.data(), row.size(), reinterpret_cast<std::byte*>(rounded.data()));
              const uint16_t* found = halves + (o - first * 64) * stride;
              ASSERT_EQ(std::vector(found, found + k), rounded) << "output " << o;
            }
          }
}

TEST(CudaDense, DenseRowsStayInBounds) {
  EXPECT_EQ(cuda::DenseTiles(64, 64), 64);     // 4096 x 4096: 32 MiB
  EXPECT_EQ(cuda::DenseTiles(448, 64), 64);    // 28672 x 4096, 64 tiles at a time
  EXPECT_EQ(cuda::DenseTiles(64, 224), 18);    // 4096 x 14336
  EXPECT_EQ(cuda::DenseTiles(4, 1 << 20), 1);  // one tile is more than was meant
  EXPECT_EQ(cuda::DenseTiles(1, 1), 1);
  EXPECT_EQ(cuda::DenseWorkspace(64, 64), 256u + (32u << 20) + (32u << 20));
}

Cublas FakeCublas() {
  const char* folder = std::getenv("ECLD_BIN_DIR");
  return Cublas(std::array{fmt::format("{}/libfake_cublas.so", folder != nullptr ? folder : ".")});
}

TEST(CudaDense, ProductsAgreeWithDoublePrecision) {
  const Cublas blas = FakeCublas();
  std::vector<Line256> workspace(cuda::DenseWorkspace(3, 4) / 256 + 1);
  for (DType type : {DType::kF16, DType::kBF16})
    for (int bits : {4, 8})
      for (auto [m, n, k] : {std::array<int64_t, 3>{1, 1, 7}, {5, 130, 200}, {33, 70, 65}}) {
        const PackedFormat format = {.bits = bits, .group_size = 32, .symmetric = false};
        SCOPED_TRACE(fmt::format("m {} n {} k {} {} {}", m, n, k, bits, Name(type)));
        CudaProblem problem(m, n, k, format, type, type, 11);
        int64_t most = 0;
        const auto dequantize = [&](const cuda::Product& product, int first, int tiles, uint16_t* dense) {
          DequantizeOnExecutor(problem, product, first, tiles, dense);
          most = std::max<int64_t>(most, tiles);
        };
        // One tile of outputs at a time, as a large matrix would be; a workspace that is not on 256 bytes.
        cuda::RunDense(problem.args(), blas, workspace.front().bytes + 16, nullptr, dequantize, 64 * 64 * 2 * 4);
        EXPECT_LE(most, 4 / problem.args().weight.TilesK() + 1);
        // Twice rounded: weights, and the result.
        EXPECT_TRUE(Near(problem.Result(), problem.Expected(), Relative(2 * problem.Rounding())));
        problem.Widen();
        cuda::RunDense(problem.args(), blas, workspace.front().bytes + 16, nullptr, dequantize, 64 * 64 * 2 * 4);
        EXPECT_TRUE(Near(problem.Result(), problem.Expected(), Relative(2 * problem.Rounding())));
      }
}

TEST(CudaDense, WhatCublasRefusesIsSaid) {
  const Cublas blas = FakeCublas();
  Line256 line;
  const DenseProduct product = {.m = 1,
                                .n = 1,
                                .k = 2,
                                .weight = &line,
                                .weight_stride = 1,
                                .x = &line,
                                .x_stride = 2,
                                .y = &line,
                                .y_stride = 1};
  EXPECT_ERROR(blas.Multiply(product, &line, nullptr), "libfake_cublas.so: cublasGemmEx: an invalid value");
  EXPECT_ERROR(blas.Multiply(product, line.bytes + 16, nullptr), "cublasSetWorkspace: an invalid value");
  EXPECT_ERROR(Cublas(std::array<std::string, 2>{"libcublas-of-nowhere.so", "libcublas.so.0"}),
               "cuBLAS: no library of it could be opened; looked for libcublas-of-nowhere.so (");
  EXPECT_ERROR(Cublas(std::array<std::string, 1>{"libc.so.6"}), "libc.so.6: has no function cublasCreate_v2");
}

}  // namespace
}  // namespace ecld
