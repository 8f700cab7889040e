#include "distill/blocks.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/optim/adamw.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/log.h"
#include "model/block_training.h"
#include "model/block_walker.h"
#include "model/embedding.h"

namespace ecld {
namespace {

// Runs are tens to hundreds of steps: the default 0.999 would still remember the first, largest gradients at the end.
constexpr double kBeta2 = 0.95;

// Share of the learning rate after this part of the steps: up during the first tenth, then linearly down to zero.
// AdamW's first steps are as large as all others, but their direction is noise.
double RateAt(double part) { return std::min(1.0, part / 0.1 + 0.05) * (1 - part); }

// Trains all parameters of block on windows [0, train_windows).
void Train(Block& block, const at::Tensor& states, const at::Tensor& targets, int64_t train_windows,
           const DistillBlocksOptions& options, uint64_t seed) {
  at::AutoGradMode with_grad(true);
  std::vector<at::Tensor> parameters = block.Parameters();
  for (auto& parameter : parameters) parameter.set_requires_grad(true);
  torch::optim::AdamW optimizer(
      parameters,
      torch::optim::AdamWOptions(options.learning_rate).betas({0.9, kBeta2}).weight_decay(options.weight_decay));
  auto& rate = static_cast<torch::optim::AdamWOptions&>(optimizer.param_groups()[0].options());
  Random random(seed);
  const int64_t steps_per_epoch = (train_windows + options.batch_windows - 1) / options.batch_windows;
  const auto steps = static_cast<double>(steps_per_epoch * options.epochs);
  int64_t step = 0;
  for (int64_t epoch = 0; epoch < options.epochs; ++epoch) {
    at::Tensor order = at::tensor(ShuffledIndices(train_windows, random));
    for (int64_t first = 0; first < train_windows; first += options.batch_windows) {
      at::Tensor batch = order.slice(0, first, std::min(train_windows, first + options.batch_windows));
      rate.lr(options.learning_rate * RateAt(static_cast<double>(step++) / steps));
      optimizer.zero_grad();
      BlockLoss(block.Forward(TorchOps(), states.index_select(0, batch)), targets.index_select(0, batch)).backward();
      optimizer.step();
    }
  }
  for (auto& parameter : parameters) {
    parameter.mutable_grad().reset();
    parameter.set_requires_grad(false);
  }
}

void RequireSame(int64_t student, int64_t teacher, const char* what, const std::string& where) {
  if (student != teacher)
    Fail(where, "{} is {} in the student and {} in the teacher; block by block they must be the same", what, student,
         teacher);
}

}  // namespace

Planned DistillBlocksPass::Plan(const PlanInput& input) const {
  RequireDenseAndCalibrated(input);
  if (!input.teacher) Fail(input.where, "needs a teacher");
  RequireSame(input.config.num_layers, input.teacher->num_layers, "the number of blocks", input.where);
  RequireSame(input.config.hidden_size, input.teacher->hidden_size, "hidden_size", input.where);
  RequireSame(input.config.vocab_size, input.teacher->vocab_size, "vocab_size", input.where);
  if (options_.epochs < 1) Fail(input.where + ".epochs", "{} is below 1", options_.epochs);
  if (!(options_.learning_rate > 0)) Fail(input.where + ".learning_rate", "{} is not above 0", options_.learning_rate);
  RequireWindowsToTrainOn(input, options_.batch_windows, options_.held_out);
  Planned planned;
  planned.config = input.config;
  planned.output_B = WeightFileBytes(planned.config);
  const WalkMemory student = MemoryOfWalk(input.config, input), teacher = MemoryOfWalk(*input.teacher, input);
  // Weights as loaded, trained weights, gradients and two moments; the states of both models.
  const auto batch_share = static_cast<uint64_t>(options_.batch_windows * input.window_tok / kWalkBatchTok) + 1;
  planned.peak_memory_B = std::max(5 * student.block_B + 3 * batch_share * student.batch_B,
                                   student.block_B + teacher.block_B + teacher.batch_B) +
                          student.states_B + teacher.states_B;
  if (input.gemm_flops > 0) {
    const double passes = 3.0 * static_cast<double>(options_.epochs) + 2;  // forward and backward, judge, advance
    planned.seconds = (passes * WalkFlops(input.config, input) + WalkFlops(*input.teacher, input)) / input.gemm_flops;
  }
  return planned;
}

void DistillBlocksPass::Run(const Checkpoint& in, CheckpointWriter& out, PassContext& context) const {
  const TokenWindows& calibration = *context.calibration;
  const Checkpoint& teacher = *context.teacher;
  const auto windows = static_cast<int64_t>(calibration.windows.size());
  const int64_t train_windows = windows - HeldOutWindows(windows, options_.held_out);
  at::Tensor targets = Embed(teacher, calibration.windows);
  WalkBlocks(in, out, calibration, "distill.blocks", [&](int64_t layer, const at::Tensor& states, Block* block) {
    AdvanceStates(TorchOps(), Block::Load(teacher, layer), targets);
    teacher.DropPages(layer);
    const std::string name = fmt::format("block {}", layer);
    if (!block && context.rows.Find(name)) return;
    Json row = {{"layer", layer}, {"held_out_before", nullptr}, {"held_out_after", nullptr}, {"trained", nullptr}};
    if (block) {
      Block trained = block->Clone();
      Train(trained, states, targets, train_windows, options_, context.seed + static_cast<uint64_t>(layer));
      trained.RoundTo(out.config());
      const double before = MeanBlockLoss(TorchOps(), *block, states, targets, train_windows);
      const double after = MeanBlockLoss(TorchOps(), trained, states, targets, train_windows);
      const bool better = after < before;
      if (better) *block = std::move(trained);
      row = {{"layer", layer},
             {"held_out_before", before},
             {"held_out_after", better ? after : before},
             {"trained", better}};
      if (!better) row["degraded"] = "not trained: its held-out error did not fall, so it keeps its weights";
      LogInfo("distill.blocks: block {}: held-out error {:.5f} -> {:.5f}{}", layer, before, after,
              better ? "" : ", which is not better: its weights stay as they were");
    }
    context.rows.Add(name, std::move(row));
  });
  (*context.report)["held_out_windows"] = windows - train_windows;
  (*context.report)["blocks"] = context.rows.All();
}

}  // namespace ecld
