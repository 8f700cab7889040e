#include "distill/blocks.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/optim/adamw.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/options.h"
#include "model/block_training.h"
#include "model/training_walk.h"

namespace ecld {
namespace {

// Runs are tens to hundreds of steps: the default 0.999 would still remember the first, largest gradients at the end.
constexpr double kBeta2 = 0.95;

// Share of the learning rate after this part of the steps: up during the first tenth, then linearly down to zero.
// AdamW's first steps are as large as all others, but their direction is noise.
double RateAt(double part) { return std::min(1.0, part / 0.1 + 0.05) * (1 - part); }

class Student : public BlockTrainer {
 public:
  Student(const DistillBlocksOptions& options, const Block& block, const ModelConfig& stored)
      : options_(options), stored_(stored), original_(block), now_(block) {}

  Block Now() const override { return now_; }
  void Undo() override { now_ = original_; }
  void Finish(Block& block) override { block = now_; }
  void Train(const at::Tensor& states, const at::Tensor& targets, uint64_t seed) override {
    now_ = original_.Clone();
    Descend(states, targets, seed);
    now_.RoundTo(stored_);
  }

 private:
  // Trains all parameters.
  void Descend(const at::Tensor& states, const at::Tensor& targets, uint64_t seed) {
    at::AutoGradMode with_grad(true);
    std::vector<at::Tensor> parameters = now_.Parameters();
    for (auto& parameter : parameters) parameter.set_requires_grad(true);
    torch::optim::AdamW optimizer(
        parameters,
        torch::optim::AdamWOptions(options_.learning_rate).betas({0.9, kBeta2}).weight_decay(options_.weight_decay));
    auto& rate = static_cast<torch::optim::AdamWOptions&>(optimizer.param_groups()[0].options());
    Random random(seed);
    const int64_t windows = states.size(0), batch_windows = options_.batch_windows;
    const int64_t steps_of_epoch = (windows + batch_windows - 1) / batch_windows;
    const auto steps = static_cast<double>(steps_of_epoch * options_.epochs);
    int64_t step = 0;
    for (int64_t epoch = 0; epoch < options_.epochs; ++epoch) {
      at::Tensor order = at::tensor(ShuffledIndices(windows, random));
      for (int64_t first = 0; first < windows; first += batch_windows) {
        at::Tensor batch = order.slice(0, first, std::min(windows, first + batch_windows));
        rate.lr(options_.learning_rate * RateAt(static_cast<double>(step++) / steps));
        optimizer.zero_grad();
        BlockLoss(now_.Forward(TorchOps(), states.index_select(0, batch)), targets.index_select(0, batch)).backward();
        optimizer.step();
      }
    }
    for (auto& parameter : parameters) {
      parameter.mutable_grad().reset();
      parameter.set_requires_grad(false);
    }
  }

  const DistillBlocksOptions& options_;
  const ModelConfig& stored_;
  const Block& original_;
  Block now_;
};

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
  // It may be cut from the teacher's: the walk sees whether it is (IdsIn).
  if (input.config.vocab_size > input.teacher->vocab_size)
    Fail(input.where, "vocab_size is {} in the student and only {} in the teacher, which must have all of its tokens",
         input.config.vocab_size, input.teacher->vocab_size);
  if (options_.epochs < 1) Fail(input.where + ".epochs", "{} is below 1", options_.epochs);
  if (!(options_.learning_rate > 0)) Fail(input.where + ".learning_rate", "{} is not above 0", options_.learning_rate);
  RequireWindowsToTrainOn(input, options_.batch_windows, options_.held_out);
  Planned planned;
  planned.config = input.config;
  planned.output_B = WeightFileBytes(planned.config);
  const WalkMemory student = MemoryOfWalk(input.config, input), teacher = MemoryOfWalk(*input.teacher, input);
  // Weights as loaded, trained weights, gradients and two moments; the states of both models. The graph of a step keeps
  // two and a half times what a run of the same tokens without gradients takes.
  const auto batch_tok = static_cast<uint64_t>(options_.batch_windows * input.window_tok);
  const uint64_t graph_B =
      student.batch_B * batch_tok / static_cast<uint64_t>(std::max(kWalkBatchTok, input.window_tok)) * 5 / 2;
  planned.peak_memory_B = std::max(5 * student.block_B + graph_B, student.block_B + teacher.block_B + teacher.batch_B) +
                          student.states_B + teacher.states_B;
  if (input.rates) {
    const double passes = 3.0 * static_cast<double>(options_.epochs) + 2;  // forward and backward, judge, advance
    planned.seconds =
        (passes * WalkFlops(input.config, input) + WalkFlops(*input.teacher, input)) / input.rates->GemmFlops();
  }
  return planned;
}

void DistillBlocksPass::Run(const Checkpoint& in, CheckpointWriter& out, PassContext& context) const {
  WalkTraining(
      in, out, context,
      {.label = "distill.blocks",
       .done = "trained",
       .undone = "its weights stay as they were",
       .undone_so = "it keeps its weights",
       .held_out = options_.held_out,
       .teacher = context.teacher,
       .trainer = [&](const Block& block) { return std::make_unique<Student>(options_, block, out.config()); }});
}

std::unique_ptr<Pass> MakeDistillBlocks(Options& options) {
  DistillBlocksOptions distill;
  distill.epochs = options.Int("epochs", distill.epochs, 1, 10'000, "times each block sees the training windows");
  distill.learning_rate = options.Number("learning_rate", distill.learning_rate, 0, 1, "of AdamW, at its highest");
  distill.batch_windows = options.Int("batch_windows", distill.batch_windows, 1, 1 << 16, "windows of one step");
  distill.held_out =
      options.Number("held_out", distill.held_out, 0, 0.9,
                     "share of the windows that only judge: a block that did not get better keeps its weights");
  distill.weight_decay = options.Number("weight_decay", distill.weight_decay, 0, 1,
                                        "of AdamW: how much of the weights each step takes away");
  return std::make_unique<DistillBlocksPass>(distill);
}

}  // namespace ecld
