#pragma once
// What one run of gpu_gemm_bench knows.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <string>
#include <vector>

#include "benchmarks/gpu_candidates.h"
#include "benchmarks/gpu_options.h"
#include "benchmarks/gpu_report.h"
#include "measure/kernel_shapes.h"

namespace ecld {

inline constexpr DType kTimedType = DType::kBF16;  // of x and y

inline double SecondsSince(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// THROWS Error where there is none.
inline const Cublas& TheCublas() {
  std::string why;
  const Cublas* blas = FindCublas(&why);
  if (blas == nullptr) throw Error("", why);
  return *blas;
}

struct GpuBench {
  GpuBenchOptions options;
  CudaDevice device;
  const Cublas& blas = TheCublas();
  CublasLt lt;
  CudaBuffer blas_workspace{kCublasWorkspaceBytes};
  Random random{1};
  std::chrono::steady_clock::time_point begin = std::chrono::steady_clock::now();
  std::vector<GpuResult> results;
  std::vector<CudaGemmPoint> points;
  std::vector<std::string> left_out;
  Json block_graphs = Json::array();

  // The format in which a layer is timed; without bytes.
  WeightView ShapeOf(const KernelShape& layer, int bits) const {
    static constexpr std::byte kSome{};
    return {.out_features = layer.sizes[0],
            .in_features = layer.sizes[1],
            .format = {.bits = bits, .group_size = options.group},
            .codes = &kSome,
            .scales = &kSome,
            .scale_dtype = DType::kF16};
  }
};

// A candidate that cannot be made is said and left out.
template <class Make>
void Try(GpuBench& bench, std::vector<Candidate>& candidates, const std::string& what, const Make& make) {
  try {
    candidates.push_back(make());
  } catch (const std::exception& error) {
    const std::string line = fmt::format("{}: {}", what, error.what());
    if (std::find(bench.left_out.begin(), bench.left_out.end(), line) != bench.left_out.end()) return;
    fmt::print(stderr, "left out: {}\n", line);
    bench.left_out.push_back(line);
  }
}

}  // namespace ecld
