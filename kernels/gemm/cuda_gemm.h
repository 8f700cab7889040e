#pragma once
// y[m, out_features] = x[m, in_features] * weight^T on a GPU, for tiled packed weights, x and y fp16 or bfloat16, sums
// in float32. All pointers are to memory of the device; nothing is allocated or waited for, so products can be captured
// in a graph. The same problem gives the same bits in every run.
//
//   gemv  rows of x one or two at a time, multiplied as float32
//   mma   any number of rows; tensor cores with the weights as their 16-row operand; a row's bits do not depend on m
//
// Each has run in the tests on an executor of its own on the CPU; without a GPU, supports() says no.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/cuda/device.h"
#include "kernels/gemm/cuda_layout.h"

namespace ecld {

struct CudaGemmArgs {
  CudaWeight weight;
  DType type = DType::kF16;  // of x and y: F16 or BF16
  const void* x = nullptr;   // [m, x_stride], on 16 bytes
  int64_t x_stride = 0;      // elements from row to row: a multiple of 8, at least in_features
  int64_t m = 0;
  void* y = nullptr;  // [m, y_stride]; elements beyond out_features are left alone
  int64_t y_stride = 0;
  // CudaGemmWorkspace(...) bytes on 16 bytes, zero before the first product; each product leaves them fit for the next,
  // of any shape. Products that may run at the same time need one each.
  std::byte* workspace = nullptr;
};

struct CudaGemmImplementation {
  const char* name;
  bool (*supports)(const CudaGemmArgs& args, const CudaDevice& device);
  void (*run)(const CudaGemmArgs& args, CudaStream stream);
};

// Fastest first; empty in a build without CUDA.
std::span<const CudaGemmImplementation> CudaGemmImplementations();

// Bytes of workspace that every product of these weights with up to m rows is content with.
uint64_t CudaGemmWorkspace(int64_t out_features, int64_t in_features, int64_t m);

// Queues the first implementation of the list that supports the problem, or the one named. THROWS Error when the name
// is unknown or nothing supports the problem on this device, saying what does not fit.
void CudaGemm(const CudaGemmArgs& args, const CudaDevice& device, CudaStream stream,
              std::string_view implementation = "");

}  // namespace ecld
