#pragma once
// Times every implementation of every op over given shapes (kernel_shapes.h), against the roof of the machine that was
// measured in the same run. Weights are random and cold: so many copies of a matrix that they exceed the last cache
// twice are used in turn. Activations and caches are warm, so ops that only touch these may exceed the roof of memory.
// What a model costs as a whole is bench.h's.

#include <optional>
#include <string>
#include <vector>

#include "core/document.h"
#include "core/json.h"
#include "kernels/packing/packed_format.h"
#include "measure/kernel_shapes.h"
#include "measure/measure.h"
#include "measure/roof.h"

namespace ecld {

struct KernelBenchOptions {
  std::vector<int> bits = {16, 4};  // of matrices: 16 is dense bfloat16, others packed
  int64_t group_size = 128;         // of packed ones; 0 = the whole row
  bool symmetric = true;
  std::vector<int64_t> rows = {1, 4, 16, 512};  // of x; for attention new tokens at the end of the context
  int64_t context_tok = 512;                    // of attention; rows beyond it lengthen it
  std::string kernel;                           // only implementations of this name; "" = all
  double budget_ms = 100;                       // of one point, though each is run three times at least
  double limit_ms = 1000;                       // points whose single run is expected to take longer are left out
};

struct KernelRow {
  KernelShape shape;
  std::string weights;  // "BF16", "W4 g128 sym", "W4 g128 sym interleaved"; of attention its cache's type; or ""
  int64_t rows = 0;
  std::string kernel;
  bool exact = true;  // activations in float32
  Timing timing;
  double Bps = 0, flops = 0;
  double roof_share = 0;           // least time by the roof / time
  std::optional<double> to_dense;  // time of the fastest dense product of this shape / time; only of gemm
};

struct KernelBenchResult {
  Roof roof;
  uint64_t weights_B = 0;  // the most that the copies of a matrix took
  std::vector<KernelRow> rows;
  int64_t left_out = 0;  // points beyond limit_ms
};

inline constexpr DocumentKind kKernelBenchDocument{"ecld.bench_kernels", "1.0.0"};

// THROWS Error for an unknown kernel, bits, group size, a matrix whose copies do not fit into half of the memory.
KernelBenchResult BenchKernels(const std::vector<KernelShape>& shapes, const KernelBenchOptions& options,
                               ThreadPool& pool);

// A kKernelBenchDocument.
Json ToJson(const KernelBenchResult& result, int threads);

}  // namespace ecld
