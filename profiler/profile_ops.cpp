#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <tuple>

#include "checkpoint/linear_groups.h"
#include "core/ascii.h"
#include "core/log.h"
#include "measure/kernel_case.h"
#include "measure/load.h"
#include "measure/measure.h"
#include "measure/memory_stream.h"
#include "profiler/profile_tables.h"

namespace ecld {
namespace {

// Steps of microseconds are repeated over tens of milliseconds: a shorter look sees one mood of the machine. What needs
// the caches emptied before each run is repeated less often.
constexpr MeasureOptions kOpMeasure = {
    .warmup = kProfileWarmup, .min_reps = kProfileReps, .max_reps = 1000, .budget_ms = 50};
constexpr int kColdReps = 200;

// "bf16", "int4_wo": how the weights of a product are stored.
std::string DTypeName(const WeightView& weight) {
  if (weight.packed()) return fmt::format("int{}_wo", weight.format.bits);
  return AsciiLower(Name(weight.dtype));
}

// All matrices that one row of the table stands for.
using Shape = std::tuple<std::string, int64_t, int64_t, std::string>;  // op, out_features, in_features, dtype
std::map<Shape, std::vector<WeightView>> Shapes(const RuntimeModel& model) {
  std::map<Shape, std::vector<WeightView>> shapes;
  auto add = [&](const char* op, const WeightView& weight) {
    shapes[{op, weight.out_features, weight.in_features, DTypeName(weight)}].push_back(weight);
  };
  for (const RuntimeBlock& block : model.blocks())
    for (Role role : kBlockLinears) add("gemm", block[role].weight);
  add("head", model.head());
  return shapes;
}

// What a step reads between two uses of a matrix or of a layer's cache: the weights of the rest of the model. Without
// it a small matrix or a short cache would be timed from the processor's caches, where a step does not find it.
MemoryStream RestOfModel(const RuntimeModel& model, ThreadPool& pool) {
  int64_t weights_B = 0;
  for (int64_t layer_B : WeightBytesByLayer(model.checkpoint())) weights_B += layer_B;
  return {std::min<uint64_t>(static_cast<uint64_t>(weights_B), 2 * LastCacheBytes()), pool};
}

// Reads it before every `period`th run.
std::function<void()> Before(MemoryStream& rest, size_t period) {
  return [&rest, period, run = size_t{0}]() mutable {
    if (run++ % period == 0) rest.Read();
  };
}

class OpsTable {
 public:
  OpsTable(const TimeBudget& budget) : budget_(budget) {}

  // Times a kernel, each run after `prepare`, and appends its row, with the sizes that its op has. Returns the
  // milliseconds, 0 where the budget does not allow expected_ms for a run.
  double Add(const std::string& op, const std::string& dtype, const KernelCase& kernel, double expected_ms,
             const std::vector<std::pair<const char*, int64_t>>& sizes, const std::function<void()>& prepare = {}) {
    if (!budget_.Allows(expected_ms / 1000 * (kOpMeasure.warmup + kOpMeasure.min_reps))) {
      ops_.status = TableStatus::kPartial;
      return 0;
    }
    MeasureOptions options = kOpMeasure;
    if (prepare) options.max_reps = kColdReps;
    const Timing timing = Measure(kernel.run, options, prepare);
    Table& table = ops_.table;
    table.AddRow();
    table.Set("op", op);
    table.Set("dtype", dtype);
    table.Set("kernel", kernel.kernel);
    for (const auto& [name, size] : sizes) table.Set(name, size);
    table.Set("ms", timing.median_ms);
    table.Set("ms_min", timing.min_ms);
    table.Set("ms_max", timing.max_ms);
    table.Set("ms_std", timing.std_ms);
    if (timing.median_ms > 0) {
      table.Set("tflops", kernel.flop / timing.median_ms * 1e-9);
      table.Set("GBps", kernel.bytes / timing.median_ms * 1e-6);
    }
    table.Set("src", std::string("m"));
    table.Set("reps", timing.n);
    return timing.median_ms;
  }

  ProfileTable&& Take() { return std::move(ops_); }

 private:
  const TimeBudget& budget_;
  ProfileTable ops_{TableStatus::kComplete, Table(FindTableSchema("ops", "profile"))};
};

void AddProducts(OpsTable& ops, const RuntimeModel& model, MemoryStream& rest, ThreadPool& pool,
                 const ProfileGrid& grid) {
  for (const auto& [shape, weights] : Shapes(model)) {
    const auto& [op, n, k, dtype] = shape;
    std::map<std::string, double> ms_per_row;  // by kernel
    for (int64_t m : grid.op_rows)
      for (const KernelCase& kernel : GemmCases(weights, m, pool)) {
        double& known = ms_per_row[kernel.kernel];
        const double ms = ops.Add(op, dtype, kernel, known * static_cast<double>(m), {{"m", m}, {"n", n}, {"k", k}},
                                  Before(rest, weights.size()));
        if (ms > 0) known = ms / static_cast<double>(m);
      }
  }
}

void AddAttention(OpsTable& ops, const RuntimeModel& model, MemoryStream& rest, ThreadPool& pool,
                  const ProfileGrid& grid) {
  const ModelConfig& config = model.config();
  const KvShape shape{.type = model.options().Kv(), .num_kv_heads = config.num_kv_heads, .head_dim = config.head_dim};
  for (const char* op : {"attn_prefill", "attn_decode"}) {
    std::map<std::string, double> ms_per_flop;  // by kernel
    for (int64_t context : grid.prompts_tok) {
      const int64_t rows = std::string_view(op) == "attn_prefill" ? context : 1;
      // As many caches as there are layers, or as the processor's own cannot hold.
      const auto beyond = static_cast<int64_t>(1 + 2 * LastCacheBytes() / static_cast<uint64_t>(shape.Bytes(context)));
      const int64_t caches = std::min(config.num_layers, beyond);
      for (const KernelCase& kernel : AttentionCases(rows, context, config.num_heads, shape, caches, pool)) {
        double& known = ms_per_flop[kernel.kernel];
        const double ms = ops.Add(op, std::string(Name(shape.type)), kernel, known * kernel.flop,
                                  {{"m", rows},
                                   {"batch", 1},
                                   {"ctx_tok", context},
                                   {"heads", config.num_heads},
                                   {"kv_heads", config.num_kv_heads},
                                   {"head_dim", config.head_dim}},
                                  Before(rest, static_cast<size_t>(caches)));
        if (ms > 0) known = ms / kernel.flop;
      }
    }
  }
}

void AddElementwise(OpsTable& ops, const ModelConfig& config, ThreadPool& pool, const ProfileGrid& grid) {
  for (int64_t m : grid.op_rows) {
    for (const KernelCase& kernel : NormCases(m, config.hidden_size, pool))
      ops.Add("norm", "f32", kernel, 0, {{"m", m}, {"n", config.hidden_size}});
    for (const KernelCase& kernel : AddCases(m, config.hidden_size, pool))
      ops.Add("add", "f32", kernel, 0, {{"m", m}, {"n", config.hidden_size}});
    for (const KernelCase& kernel : GateCases(config.activation, m, config.intermediate_size, pool))
      ops.Add("act", "f32", kernel, 0, {{"m", m}, {"n", config.intermediate_size}});
    for (const KernelCase& kernel : RopeCases(m, config.num_heads, config.head_dim, pool))
      ops.Add("rope", "f32", kernel, 0, {{"m", m}, {"heads", config.num_heads}, {"head_dim", config.head_dim}});
  }
}

}  // namespace

ProfileTable MeasureOps(const RuntimeModel& model, ThreadPool& pool, const ProfileGrid& grid,
                        const TimeBudget& budget) {
  OpsTable ops(budget);
  MemoryStream rest = RestOfModel(model, pool);
  AddElementwise(ops, model.config(), pool, grid);
  AddAttention(ops, model, rest, pool, grid);
  AddProducts(ops, model, rest, pool, grid);
  return ops.Take();
}

}  // namespace ecld
