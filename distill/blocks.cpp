#include "distill/blocks.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <optional>

#include "core/error.h"
#include "core/options.h"
#include "distill/teacher.h"
#include "model/block_training.h"
#include "model/training_walk.h"

namespace ecld {
namespace {

class BlockStudent : public BlockTrainer {
 public:
  BlockStudent(const DistillBlocksOptions& options, const Block& block, const Checkpoint& in, CheckpointWriter& out,
               ThreadPool& pool)
      : options_(options), original_(block), in_(in), out_(out), ops_(in.config().dtype), pool_(pool), now_(block) {}

  Block Now() const override { return now_; }

  void Train(const at::Tensor& states, const at::Tensor& targets, uint64_t seed) override {
    now_ = original_.Clone();
    trained_.emplace(pool_);
    for (const TensorSpec& spec : in_.table())
      if (spec.layer == now_.layer()) trained_->Add(in_, spec, now_.Parameter(spec.role, spec.bias));
    Descend(states, targets, seed);
    now_ = now_.Clone();  // without gradients
    now_.RoundTo(out_.config());
  }

  void Undo() override {
    now_ = original_;
    trained_.reset();
  }

  // Writes the block too: an untrained one bit for bit.
  void Finish(Block& block) override {
    block = now_;
    if (trained_) trained_->Write(out_);
    for (const TensorSpec& spec : out_.table())
      if (spec.layer == block.layer() && !out_.IsWritten(spec)) out_.CopyFrom(in_, spec);
  }

 private:
  void Descend(const at::Tensor& states, const at::Tensor& targets, uint64_t seed) {
    Random random(seed);
    const int64_t windows = states.size(0), at_once = options_.batch_windows;
    const int64_t steps_of_epoch = (windows + at_once - 1) / at_once, steps = steps_of_epoch * options_.epochs;
    for (int64_t step = 0; step < steps;) {
      const at::Tensor order = at::tensor(ShuffledIndices(windows, random));
      for (int64_t first = 0; first < windows; first += at_once, ++step) {
        const at::Tensor batch = order.slice(0, first, std::min(windows, first + at_once));
        AddGradient(states.index_select(0, batch), targets.index_select(0, batch));
        trained_->Step(options_.rates, RateAt(step, steps, options_.warm_up));
      }
    }
  }

  // Of the mean loss of these windows. The graph of a few of them is gone when the next is made.
  void AddGradient(const at::Tensor& states, const at::Tensor& targets) {
    at::AutoGradMode with_grad(true);
    ForWindowBatches(states.size(0), states.size(1), [&](int64_t first, int64_t count) {
      const double share = static_cast<double>(count) / static_cast<double>(states.size(0));
      const at::Tensor found = now_.Forward(ops_, states.narrow(0, first, count));
      (BlockLoss(found, targets.narrow(0, first, count)) * share).backward();
    });
  }

  const DistillBlocksOptions& options_;
  const Block original_;  // keeps the weights when the walked block gets others
  const Checkpoint& in_;
  CheckpointWriter& out_;
  const TorchOps ops_;
  ThreadPool& pool_;
  Block now_;
  std::optional<TrainedTensors> trained_;
};

void RequireSame(int64_t student, int64_t teacher, const char* what, const std::string& where) {
  if (student != teacher)
    Fail(where, "{} is {} in the student and {} in the teacher; block by block they must be the same", what, student,
         teacher);
}

}  // namespace

Planned DistillBlocksPass::Plan(const PlanInput& input) const {
  RequireCalibrated(input);
  if (!input.teacher) Fail(input.where, "needs a teacher");
  RequireDenseTeacher(input);
  RequireSame(input.config.num_layers, input.teacher->num_layers, "the number of blocks", input.where);
  RequireSame(input.config.hidden_size, input.teacher->hidden_size, "hidden_size", input.where);
  RequireRoomForTokens(input);
  if (options_.epochs < 1) Fail(input.where + ".epochs", "{} is below 1", options_.epochs);
  const LearningRates& rates = options_.rates;
  const bool grid_trains = input.config.quantization && (rates.codes > 0 || rates.scales > 0);
  if (!(rates.weights > 0 || grid_trains)) Fail(input.where + ".learning_rate", "{} is not above 0", rates.weights);
  RequireWindowsToTrainOn(input, options_.batch_windows, options_.held_out);
  Planned planned;
  planned.config = input.config;
  planned.output_B = WeightFileBytes(planned.config);
  const WalkMemory student = MemoryOfWalk(input.config, input), teacher = MemoryOfWalk(*input.teacher, input);
  uint64_t trained_B = 0;
  for (const TensorSpec& spec : TensorTable(input.config))
    if (spec.layer == 0) trained_B += TrainedTensors::Bytes(spec);
  // Weights as loaded and in training; the states of both models, and those of a step. The graph of some windows keeps
  // two and a half times what a run of them without gradients takes.
  const uint64_t step_B = 2 * student.states_B * static_cast<uint64_t>(options_.batch_windows) /
                          static_cast<uint64_t>(input.calibration_windows);
  planned.peak_memory_B = std::max(student.block_B + trained_B + step_B + student.batch_B * 5 / 2,
                                   student.block_B + teacher.block_B + teacher.batch_B) +
                          student.states_B + teacher.states_B;
  if (input.rates) {
    const double passes = 3.0 * static_cast<double>(options_.epochs) + 2;  // forward and backward, judge, advance
    planned.seconds =
        (passes * WalkFlops(input.config, input) + WalkFlops(*input.teacher, input)) / input.rates->GemmFlops();
  }
  return planned;
}

void DistillBlocksPass::Run(const Checkpoint& in, CheckpointWriter& out, PassContext& context) const {
  BlockKernels kernels(in.config(), *context.pool);
  const auto trainer = [&](const Block& block) {
    return std::make_unique<BlockStudent>(options_, block, in, out, *context.pool);
  };
  WalkTraining(in, out, context,
               {.label = "distill.blocks",
                .done = "trained",
                .undone = "its weights stay as they were",
                .undone_so = "it keeps its weights",
                .held_out = options_.held_out,
                .teacher = context.teacher,
                .ops = in.config().dtype == context.teacher->config().dtype ? &kernels : nullptr,
                .trainer = trainer});
  for (const TensorSpec& spec : out.table())
    if (!out.IsWritten(spec)) out.CopyFrom(in, spec);  // packed ends
}

std::unique_ptr<Pass> MakeDistillBlocks(Options& options) {
  DistillBlocksOptions distill;
  distill.epochs = options.Int("epochs", distill.epochs, 1, 10'000, "times each block sees the training windows");
  distill.rates.weights =
      options.Number("learning_rate", 3e-4, 0, 1, "of AdamW for what is not quantized, at its highest");
  ReadGridRates(options, distill.rates);
  distill.batch_windows = options.Int("batch_windows", distill.batch_windows, 1, 1 << 16, "windows of one step");
  distill.held_out =
      options.Number("held_out", distill.held_out, 0, 0.9,
                     "share of the windows that only judge: a block that did not get better keeps its weights");
  distill.rates.weight_decay = options.Number("weight_decay", distill.rates.weight_decay, 0, 1,
                                              "of AdamW: how much of dense matrices each step takes away");
  return std::make_unique<DistillBlocksPass>(distill);
}

}  // namespace ecld
