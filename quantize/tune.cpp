#include "quantize/tune.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/memory.h"
#include "model/block_training.h"
#include "model/training_walk.h"
#include "quantize/learned_rounding.h"
#include "quantize/rounding_report.h"
#include "quantize/scheme_options.h"

namespace ecld {
namespace {

struct TunedMatrix {
  const TensorSpec* target;
  at::Tensor weights;  // dense, [out, in]
  LearnedRounding rounding;
};

// Learns the rounding of one block's matrices.
class BlockTuner : public BlockTrainer {
 public:
  BlockTuner(const TuneOptions& options, CheckpointWriter& out, const Block& dense, PassContext& context)
      : options_(options),
        out_(out),
        dense_(dense),
        trained_by_(dense.config().dtype),
        scale_dtype_(out.config().dtype),
        rows_(context.rows),
        pool_(*context.pool) {
    for (const auto& target : out.table()) {
      if (target.layer != dense.layer() || !target.format) continue;
      matrices_.push_back({&target, dense.Parameter(target.role), {}});
    }
    Undo();
  }

  bool Empty() const { return matrices_.empty(); }

  // The block with its matrices rounded.
  Block Now() const override {
    Block block = dense_;
    for (const auto& [target, weights, rounding] : matrices_)
      block.Parameter(target->role) = Round(weights, rounding, *target->format, scale_dtype_, pool_).Values(pool_);
    return block;
  }

  void Train(const at::Tensor& states, const at::Tensor& targets, uint64_t seed) override {
    Random random(seed);
    std::vector<int64_t> order;
    const int64_t windows = states.size(0), batch_windows = std::min(options_.batch_windows, windows);
    const double rate = options_.learning_rate > 0 ? options_.learning_rate : 1 / static_cast<double>(options_.steps);
    for (int64_t step = 0; step < options_.steps; ++step) {
      if (static_cast<int64_t>(order.size()) < batch_windows) order = ShuffledIndices(windows, random);
      const at::Tensor batch = at::tensor(std::vector<int64_t>(order.end() - batch_windows, order.end()));
      order.resize(order.size() - static_cast<size_t>(batch_windows));
      Step(states.index_select(0, batch), targets.index_select(0, batch),
           rate * (1 - static_cast<double>(step) / static_cast<double>(options_.steps)));
    }
  }

  // To rounding to nearest.
  void Undo() override {
    for (auto& [target, weights, rounding] : matrices_)
      rounding = StartRounding(weights, *target->format, options_.clip, scale_dtype_, pool_);
  }

  // Writes the matrices, puts their values into block, and adds their rows to the report.
  void Finish(Block& block) override {
    for (const auto& [target, weights, rounding] : matrices_) {
      const RoundedMatrix rounded = Round(weights, rounding, *target->format, scale_dtype_, pool_);
      WriteRows(out_, *target, 0, rounded, pool_);
      const at::Tensor values = rounded.Values(pool_);
      const double size = weights.norm().item<double>();
      rows_.Add(target->name, {{"relative_error", size > 0 ? (values - weights).norm().item<double>() / size : 0.0}});
      block.Parameter(target->role) = values;
    }
  }

 private:
  // One step down the mean loss of these windows. The graph of a few windows' forward pass is gone when the next is
  // made.
  void Step(const at::Tensor& states, const at::Tensor& targets, double rate) {
    Block block = Now();
    at::AutoGradMode with_grad(true);
    for (const TunedMatrix& matrix : matrices_) block.Parameter(matrix.target->role).set_requires_grad(true);
    ForWindowBatches(states.size(0), states.size(1), [&](int64_t first, int64_t count) {
      const double share = static_cast<double>(count) / static_cast<double>(states.size(0));
      const at::Tensor found = block.Forward(trained_by_, states.narrow(0, first, count));
      (BlockLoss(found, targets.narrow(0, first, count)) * share).backward();
    });
    for (auto& [target, weights, rounding] : matrices_)
      rounding.Step(
          GradientOf(weights, rounding, *target->format, scale_dtype_, block.Parameter(target->role).grad(), pool_),
          rate);
  }

  const TuneOptions& options_;
  CheckpointWriter& out_;
  const Block dense_;  // keeps the weights when the walked block gets others
  const TorchOps trained_by_;
  DType scale_dtype_;
  ReportRows& rows_;
  ThreadPool& pool_;
  std::vector<TunedMatrix> matrices_;
};

}  // namespace

Planned TunePass::Plan(const PlanInput& input) const {
  RequireDenseAndCalibrated(input);
  if (options_.steps < 1) Fail(input.where + ".steps", "{} is below 1", options_.steps);
  if (!(options_.learning_rate >= 0)) Fail(input.where + ".learning_rate", "{} is below 0", options_.learning_rate);
  RequireWindowsToTrainOn(input, options_.batch_windows, options_.held_out);
  Planned planned = PlanRounding(options_.scheme, input);
  const WalkMemory memory = MemoryOfWalk(input.config, input);
  // Of the matrices: as they are, twice, rounded, as products take them, offsets, the gradients of both, signs and
  // codes; what the graph of a forward pass keeps.
  planned.peak_memory_B = 8 * memory.block_B + 2 * memory.batch_B + 2 * memory.states_B + kKeptFreeBytes;
  if (input.rates) {
    const double share =
        static_cast<double>(options_.steps * options_.batch_windows) / static_cast<double>(input.calibration_windows);
    planned.seconds = (3 * share + 3) * WalkFlops(input.config, input) / input.rates->GemmFlops();
  }
  return planned;
}

void TunePass::Run(const Checkpoint& in, CheckpointWriter& out, PassContext& context) const {
  at::NoGradGuard no_grad;
  BlockKernels kernels(in.config(), *context.pool);
  const auto trainer = [&](const Block& block) -> std::unique_ptr<BlockTrainer> {
    auto tuner = std::make_unique<BlockTuner>(options_, out, block, context);
    if (tuner->Empty()) return nullptr;
    return tuner;
  };
  const at::Tensor hidden = WalkTraining(in, out, context,
                                         {.label = "quantize.tune",
                                          .done = "tuned",
                                          .undone = "it is rounded to nearest",
                                          .undone_so = "it is rounded to nearest",
                                          .held_out = options_.held_out,
                                          .teacher = &in,
                                          .ops = &kernels,
                                          .trainer = trainer});
  QuantizeEnds(options_.ends, options_.clip, in, out, hidden, nullptr, context);
  (*context.report)["tensors"] = TensorReports(out, context.rows);
}

std::unique_ptr<Pass> MakeTune(Options& options) {
  TuneOptions tune;
  tune.scheme = ReadScheme(options);
  tune.clip = ReadClip(options, "mse");
  tune.steps = options.Int("steps", tune.steps, 1, 100'000, "steps of training on one block");
  tune.batch_windows = options.Int("batch_windows", tune.batch_windows, 1, 1 << 16, "windows of one step");
  tune.learning_rate = options.Number("learning_rate", tune.learning_rate, 0, 1,
                                      "of the signed steps, falling to zero; 0: one over the steps");
  tune.held_out =
      options.Number("held_out", tune.held_out, 0, 0.9,
                     "share of the windows that only judge: a block that did not get better is rounded to nearest");
  tune.ends = ReadHessian(options);
  return std::make_unique<TunePass>(std::move(tune));
}

}  // namespace ecld
