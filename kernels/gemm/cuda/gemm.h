#pragma once
// y[m, out_features] = x[m, in_features] * weight^T on a GPU, for tiled packed weights, x and y fp16 or bfloat16, sums
// in float32. All pointers are to memory of the device; nothing is allocated or waited for, so products can be captured
// in a graph. The same problem gives the same bits in every run.
//
//   gemv            rows of x one or two at a time, multiplied as float32
//   mma             any number of rows; tensor cores with the weights as their 16-row operand
//   dequant_cublas  any number of rows; the weights rounded to dense ones, some rows at a time, and cuBLAS. The first
//                   question about it in a process opens the library: not while a graph is captured
//   wgmma           more than 32 rows, compute capability 9.0: tensor cores of four warps, x by tensor copies. Taken
//                   only by name: it has not run on a GPU yet
//
// The first two and the last have run in the tests on an executor of its own on the CPU, whole; so has all of
// dequant_cublas but cuBLAS. Which one is taken is data: dispatch.h.
//
// Kernels may start while the one ahead of them in the stream still runs (programmatic dependent launch); they wait for
// it before they touch anything but weights, so only weights must not be written by a kernel just ahead.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "kernels/cuda/device.h"
#include "kernels/gemm/cuda/layout.h"

namespace ecld {

struct CudaGemmArgs {
  CudaWeight weight;
  DType type = DType::kF16;  // of x and y: F16 or BF16
  const void* x = nullptr;   // [m, x_stride], on 16 bytes
  int64_t x_stride = 0;      // elements from row to row: a multiple of 8, at least in_features
  int64_t m = 0;
  void* y = nullptr;  // [m, y_stride]; elements beyond out_features are left alone
  int64_t y_stride = 0;
  bool wide_y = false;  // y holds floats: the sums before they are rounded
  // The batch-invariant mode: a row of y has the same bits whatever m is and whatever the other rows hold. Only
  // implementations that keep to it are taken.
  bool invariant = false;
  // Parts into which the inputs are split between blocks, at most; 0: as dispatch and implementation say.
  int splits = 0;
  // CudaGemmWorkspace(...) bytes on 16 bytes, zero before the first product; each product leaves them fit for the next,
  // of any shape. Products that may run at the same time need one each.
  std::byte* workspace = nullptr;
};

struct CudaGemmSize {
  int64_t m = 0, out_features = 0, in_features = 0;
  int splits = 0;  // as in CudaGemmArgs
};

struct CudaGemmImplementation {
  const char* name;
  bool invariant;  // the bits of a row of y do not depend on m
  // What keeps it from this problem on this device; "" when nothing does.
  std::string (*unsupported)(const CudaGemmArgs& args, const CudaDevice& device);
  uint64_t (*workspace)(const CudaGemmSize& size);           // bytes
  void (*run)(const CudaGemmArgs& args, CudaStream stream);  // REQUIRES: unsupported says ""
};

// In a build without CUDA each says that it is one.
std::span<const CudaGemmImplementation> CudaGemmImplementations();

// Bytes of workspace for products of these weights with up to m rows: those of whatever dispatch takes, or of the
// implementation named. THROWS Error when the name is unknown.
uint64_t CudaGemmWorkspace(int64_t out_features, int64_t in_features, int64_t m, std::string_view implementation = "");

struct CudaGemmChoice {
  const CudaGemmImplementation* implementation = nullptr;
  int splits = 0;
  std::string instead_of;  // what dispatch names but cannot run here, and why; "" where it can
};

// What CudaGemm runs: what the table of dispatch.h names, mma where that cannot run, or the one named. THROWS
// Error when the name is unknown or nothing supports the problem on this device, saying what does not fit.
CudaGemmChoice ChooseCudaGemm(const CudaGemmArgs& args, const CudaDevice& device, std::string_view implementation = "");

// Queues the product on the stream. THROWS as ChooseCudaGemm.
void CudaGemm(const CudaGemmArgs& args, const CudaDevice& device, CudaStream stream,
              std::string_view implementation = "");

}  // namespace ecld
