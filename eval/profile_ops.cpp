#include <algorithm>
#include <cctype>
#include <map>
#include <string>
#include <tuple>

#include "core/log.h"
#include "core/random.h"
#include "eval/measure.h"
#include "eval/profile_tables.h"
#include "kernels/gemm/implementations.h"

namespace ecld {
namespace {

// "bf16", "int4_wo": how the weights of a product are stored.
std::string DTypeName(const WeightView& weight) {
  if (weight.packed()) return fmt::format("int{}_wo", weight.format.bits);
  std::string name(Name(weight.dtype));
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return name;
}

// All matrices that one row of the table stands for.
using Shape = std::tuple<std::string, int64_t, int64_t, std::string>;  // op, out_features, in_features, dtype
std::map<Shape, std::vector<WeightView>> Shapes(const RuntimeModel& model) {
  std::map<Shape, std::vector<WeightView>> shapes;
  auto add = [&](const char* op, const WeightView& weight) {
    shapes[{op, weight.out_features, weight.in_features, DTypeName(weight)}].push_back(weight);
  };
  for (const RuntimeBlock& block : model.blocks())
    for (const Linear* linear :
         {&block.query, &block.key, &block.value, &block.output, &block.gate, &block.up, &block.down})
      add("gemm", linear->weight);
  add("head", model.head());
  return shapes;
}

void AddRow(Table& ops, const Shape& shape, const WeightView& weight, const char* kernel, int64_t m,
            const Timing& timing) {
  auto [op, out_features, in_features, dtype] = shape;
  double seconds = timing.median_ms / 1000;
  double flops = 2.0 * static_cast<double>(m) * static_cast<double>(out_features) * static_cast<double>(in_features);
  double bytes =
      static_cast<double>(StoredBytes(weight)) + static_cast<double>(m * (in_features + out_features)) * sizeof(float);
  ops.AddRow();
  ops.Set("op", op);
  ops.Set("dtype", dtype);
  ops.Set("kernel", std::string(kernel));
  ops.Set("m", m);
  ops.Set("n", out_features);
  ops.Set("k", in_features);
  ops.Set("ms", timing.median_ms);
  ops.Set("ms_min", timing.min_ms);
  ops.Set("ms_max", timing.max_ms);
  ops.Set("ms_std", timing.std_ms);
  if (seconds > 0) {
    ops.Set("tflops", flops / seconds / 1e12);
    ops.Set("GBps", bytes / seconds / 1e9);
  }
  ops.Set("src", std::string("m"));
  ops.Set("reps", timing.n);
}

}  // namespace

ProfileTable MeasureOps(const RuntimeModel& model, ThreadPool& pool, const ProfileGrid& grid,
                        const TimeBudget& budget) {
  const MeasureOptions options{.warmup = kProfileWarmup, .min_reps = kProfileReps, .max_reps = 50, .budget_ms = 100};
  ProfileTable ops{TableStatus::kComplete, Table(FindTableSchema("ops", "profile"))};
  Random random(kProfileSeed);
  for (const auto& [shape, weights] : Shapes(model)) {
    for (const GemmImplementation& kernel : GemmImplementations()) {
      double s_per_row = 0;
      for (int64_t m : grid.op_rows) {
        std::vector<float> x(static_cast<size_t>(m * weights[0].in_features)),
            y(static_cast<size_t>(m * weights[0].out_features));
        for (float& value : x) value = static_cast<float>(random.Normal());
        GemmArgs args{.weight = weights[0], .x = x.data(), .m = m, .y = y.data()};
        if (!kernel.supports(args)) continue;
        if (!budget.Allows(s_per_row * static_cast<double>(m * (options.warmup + options.min_reps)))) {
          ops.status = TableStatus::kPartial;
          continue;
        }
        size_t next = 0;
        GemmScratch scratch;
        auto next_weight = [&, &all = weights] { args.weight = all[next++ % all.size()]; };
        Timing timing = Measure([&] { kernel.run(std::span(&args, 1), pool, scratch); }, options, next_weight);
        AddRow(ops.table, shape, weights[0], kernel.name, m, timing);
        s_per_row = timing.median_ms / 1000 / static_cast<double>(m);
      }
    }
  }
  return ops;
}

}  // namespace ecld
