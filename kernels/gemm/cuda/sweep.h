#pragma once
// From the times of CUDA matrix products on a device to the rows of the dispatch table (dispatch.h), and what such
// a product costs at least. Times come from benchmarks/gpu_gemm_bench.cpp.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "core/dtype.h"
#include "kernels/packing/packed_format.h"

namespace ecld {

struct CudaGemmPoint {
  int bits = 4;
  DType type = DType::kBF16;
  int64_t m = 0, n = 0, k = 0;
  std::string implementation;
  int splits = 0;
  double us = 0;  // median
};

// A dispatch table: for the device's compute capability `cc` and the bits and types that were timed, rows that are
// measured on `device`; for all else the rows of the table of this program that are modelled. Among the sizes, those
// timed stand for what lies around them: n for outputs up to the geometric middle to the next, m likewise; products of
// several k that share an n decide by the sum of their times. An implementation is taken for an n and m where it was
// timed for every k that was. The result is one that CudaDispatch reads. REQUIRES: points not empty, times positive.
std::string DispatchFromSweep(std::span<const CudaGemmPoint> points, int cc, std::string_view device);

// What a product moves and multiplies at least: packed weights and scales, x and y in 16 bits; dense weights in 16 bits
// without a format.
struct CudaGemmCost {
  double bytes = 0;
  double flops = 0;  // multiply-adds count two
  double LeastUs(double bytes_per_s, double flops_per_s) const;
};
CudaGemmCost CostOf(int64_t m, int64_t n, int64_t k, const PackedFormat* format);

}  // namespace ecld
