#include "eval/kernel_bench.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "core/error.h"
#include "core/log.h"
#include "core/version.h"
#include "eval/device.h"
#include "eval/kernel_case.h"
#include "eval/kernel_weights.h"
#include "kernels/attention/implementations.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/gemm/implementations.h"
#include "kernels/packing/interleaved.h"

namespace ecld {
namespace {

void CheckKernel(const std::string& name) {
  std::set<std::string> names;
  for (const auto& kernel : GemmImplementations()) names.emplace(kernel.name);
  for (const auto& kernel : AttentionImplementations()) names.emplace(kernel.name);
  for (const auto& kernel : ElementwiseImplementations()) names.emplace(kernel.name);
  if (!name.empty() && !names.contains(name))
    Fail("--kernel", "no implementation is named \"{}\"{}", name, DidYouMean(name, {names.begin(), names.end()}));
}

// Of a matrix in the run: its format, none for dense.
std::vector<std::optional<PackedFormat>> FormatsOf(const KernelBenchOptions& options) {
  std::vector<std::optional<PackedFormat>> formats;
  for (int bits : options.bits) {
    if (bits == 16) {
      formats.emplace_back();
      continue;
    }
    const PackedFormat format{.bits = bits, .group_size = options.group_size, .symmetric = options.symmetric};
    CheckFormat(format, "--bits, --group-size");
    formats.emplace_back(format);
  }
  // Dense ones first, for the ratio to them.
  std::ranges::stable_sort(formats, [](const auto& a, const auto& b) { return !a && b; });
  return formats;
}

class KernelBench {
 public:
  KernelBench(const KernelBenchOptions& options, ThreadPool& pool) : options_(options), pool_(pool) {
    std::ranges::sort(options_.rows);
    result_.roof = MeasureRoof(pool);
  }

  void TimeShape(const KernelShape& shape) {
    const std::vector<int64_t>& sizes = shape.sizes;
    ms_per_flop_.clear();
    if (shape.op == "gemm") return TimeGemm(shape);
    for (int64_t rows : options_.rows) {
      if (shape.op == "attention")
        TimeAttention(shape, rows);
      else if (shape.op == "norm")
        TimeAll(NormCases(rows, sizes[0], pool_), {.shape = shape, .rows = rows});
      else if (shape.op == "rope")
        TimeAll(RopeCases(rows, sizes[0], sizes[1], pool_), {.shape = shape, .rows = rows});
      else
        TimeAll(GateCases(Activation::kSilu, rows, sizes[0], pool_), {.shape = shape, .rows = rows});
    }
  }

  KernelBenchResult&& Take() { return std::move(result_); }

 private:
  // Dense, and every packed format in row order and interleaved.
  void TimeGemm(const KernelShape& shape) {
    std::map<int64_t, double> dense_ms;  // by rows, of the fastest
    for (const auto& format : FormatsOf(options_))
      for (bool interleaved : {false, true}) {
        if (interleaved && (!format || !CanInterleave(*format))) continue;
        const ColdWeights weights(shape.sizes[0], shape.sizes[1], format, interleaved, pool_);
        result_.weights_B = std::max(result_.weights_B, weights.bytes());
        const std::string name = format ? format->Name() + (interleaved ? " interleaved" : "") : "BF16";
        for (int64_t rows : options_.rows) TimeGemm({.shape = shape, .weights = name, .rows = rows}, weights, dense_ms);
      }
  }

  void TimeGemm(const KernelRow& row, const ColdWeights& weights, std::map<int64_t, double>& dense_ms) {
    const bool packed = weights.views().front().packed();
    const size_t first = result_.rows.size();
    double& best = dense_ms[row.rows];
    for (const KernelCase& kernel : GemmCases(weights.views(), row.rows, pool_)) {
      // What the roof is made of is a matter of what may be rounded, not of what this implementation does.
      const Arithmetic arithmetic = kernel.exact ? Arithmetic::kFloat32
                                    : packed     ? Arithmetic::kInt8Fours
                                                 : Arithmetic::kBf16Pairs;
      if (!Time(kernel, row, arithmetic) || packed) continue;
      const double ms = result_.rows.back().timing.median_ms;
      if (best == 0 || ms < best) best = ms;
    }
    for (size_t i = first; i < result_.rows.size() && best > 0; ++i)
      result_.rows[i].to_dense = best / result_.rows[i].timing.median_ms;
  }

  // With each type of cache; its name stands where that of weights does.
  void TimeAttention(const KernelShape& shape, int64_t rows) {
    const int64_t context = std::max(rows, options_.context_tok);
    for (KvType type : kKvTypes) {
      const KvShape kv{.type = type, .num_kv_heads = shape.sizes[1], .head_dim = shape.sizes[2]};
      TimeAll(AttentionCases(rows, context, shape.sizes[0], kv, 1, pool_),
              {.shape = shape, .weights = std::string(Name(type)), .rows = rows});
    }
  }

  void TimeAll(const std::vector<KernelCase>& cases, const KernelRow& row) {
    for (const KernelCase& kernel : cases) Time(kernel, row, Arithmetic::kFloat32);
  }

  // Appends a row, unless the kernel was not asked for or, going by its last time, would take too long.
  bool Time(const KernelCase& kernel, KernelRow row, Arithmetic arithmetic) {
    if (!options_.kernel.empty() && kernel.kernel != options_.kernel) return false;
    double& ms_per_flop = ms_per_flop_[{row.weights, kernel.kernel}];
    if (ms_per_flop * kernel.flop > options_.limit_ms) {
      ++result_.left_out;
      return false;
    }
    row.kernel = kernel.kernel;
    row.exact = kernel.exact;
    row.timing = Measure(kernel.run, {.max_reps = 1000, .budget_ms = options_.budget_ms});
    ms_per_flop = row.timing.median_ms / kernel.flop;
    const double seconds = row.timing.median_ms / 1000;
    row.Bps = kernel.bytes / seconds;
    row.flops = kernel.flop / seconds;
    row.roof_share = result_.roof.LeastMs(kernel.bytes, kernel.flop, arithmetic) / row.timing.median_ms;
    result_.rows.push_back(std::move(row));
    return true;
  }

  KernelBenchOptions options_;
  ThreadPool& pool_;
  KernelBenchResult result_;
  std::map<std::array<std::string, 2>, double> ms_per_flop_;  // of this shape, by weights and kernel
};

}  // namespace

KernelBenchResult BenchKernels(const std::vector<KernelShape>& shapes, const KernelBenchOptions& options,
                               ThreadPool& pool) {
  CheckKernel(options.kernel);
  FormatsOf(options);  // their errors, before anything is timed
  KernelBench bench(options, pool);
  for (const KernelShape& shape : shapes) {
    LogInfo("{} {}", shape.op, shape.name);
    bench.TimeShape(shape);
  }
  return bench.Take();
}

Json ToJson(const KernelBenchResult& result, int threads) {
  Json rows = Json::array();
  for (const KernelRow& row : result.rows) {
    Json sizes;
    for (const KernelOp& op : kKernelOps)
      for (size_t i = 0; op.name == row.shape.op && i < row.shape.sizes.size(); ++i)
        sizes[std::string(op.sizes[i])] = row.shape.sizes[i];
    rows.push_back({{"op", row.shape.op},
                    {"shape", row.shape.name},
                    {"sizes", std::move(sizes)},
                    {"weights", row.weights},
                    {"rows", row.rows},
                    {"kernel", row.kernel},
                    {"exact", row.exact},
                    {"ms", row.timing.median_ms},
                    {"ms_min", row.timing.min_ms},
                    {"ms_max", row.timing.max_ms},
                    {"reps", row.timing.n},
                    {"Bps", row.Bps},
                    {"flops", row.flops},
                    {"roof_frac", row.roof_share},
                    {"to_dense", row.to_dense ? Json(*row.to_dense) : Json()}});
  }
  return {{"schema", "ecld.bench_kernels"},
          {"version", 1},
          {"program", kProgramVersion},
          {"cpu", ReadDeviceFacts().cpu},
          {"threads", threads},
          {"timer", kTimer},
          {"roof", ToJson(result.roof)},
          {"weights_B", result.weights_B},
          {"left_out", result.left_out},
          {"rows", std::move(rows)}};
}

}  // namespace ecld
