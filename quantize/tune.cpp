#include "quantize/tune.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/log.h"
#include "core/memory.h"
#include "model/block_training.h"
#include "model/block_walker.h"
#include "model/embedding.h"
#include "quantize/learned_rounding.h"
#include "quantize/packed_rows.h"
#include "quantize/round.h"

namespace ecld {
namespace {

struct TunedMatrix {
  const TensorSpec* target;
  at::Tensor weights;  // dense, [out, in]
  LearnedRounding rounding;
};

// Learns the rounding of one block's matrices.
class BlockTuner {
 public:
  BlockTuner(const TuneOptions& options, const CheckpointWriter& out, const Block& dense, ThreadPool& pool)
      : options_(options), dense_(dense), scale_dtype_(out.config().dtype), pool_(pool) {
    for (const auto& target : out.table()) {
      if (target.layer != dense.layer() || !target.format) continue;
      matrices_.push_back({&target, dense.Parameter(target.role), {}});
    }
    Reset();
  }

  bool Empty() const { return matrices_.empty(); }

  // The block with its matrices rounded.
  Block Rounded() const {
    Block block = dense_;
    for (const auto& [target, weights, rounding] : matrices_)
      block.Parameter(target->role) = Round(weights, rounding, *target->format, scale_dtype_, pool_).values;
    return block;
  }

  // Learns on windows [0, train_windows).
  void Train(const at::Tensor& states, const at::Tensor& targets, int64_t train_windows, uint64_t seed) {
    Random random(seed);
    std::vector<int64_t> order;
    const int64_t batch_windows = std::min(options_.batch_windows, train_windows);
    const double rate = options_.learning_rate > 0 ? options_.learning_rate : 1 / static_cast<double>(options_.steps);
    for (int64_t step = 0; step < options_.steps; ++step) {
      if (static_cast<int64_t>(order.size()) < batch_windows) order = ShuffledIndices(train_windows, random);
      const at::Tensor batch = at::tensor(std::vector<int64_t>(order.end() - batch_windows, order.end()));
      order.resize(order.size() - static_cast<size_t>(batch_windows));
      Step(states.index_select(0, batch), targets.index_select(0, batch),
           rate * (1 - static_cast<double>(step) / static_cast<double>(options_.steps)));
    }
  }

  // To rounding to nearest.
  void Reset() {
    for (auto& [target, weights, rounding] : matrices_)
      rounding = StartRounding(weights, *target->format, options_.clip, scale_dtype_, pool_);
  }

  // Writes the matrices, puts their values into block, and adds their rows to the report.
  void Write(CheckpointWriter& out, Block& block, ReportRows& rows) const {
    for (const auto& [target, weights, rounding] : matrices_) {
      const RoundedMatrix rounded = Round(weights, rounding, *target->format, scale_dtype_, pool_);
      WriteRows(
          out, *target, 0,
          PackRows(*target->format, weights.size(0), weights.size(1), rounded.codes, rounded.grids, scale_dtype_));
      WriteShape(out, *target);
      const double size = weights.norm().item<double>();
      rows.Add(target->name,
               {{"relative_error", size > 0 ? (rounded.values - weights).norm().item<double>() / size : 0.0}});
      block.Parameter(target->role) = rounded.values;
    }
  }

 private:
  // One step down the mean loss of these windows. The graph of a few windows' forward pass is gone when the next is
  // made.
  void Step(const at::Tensor& states, const at::Tensor& targets, double rate) {
    Block block = Rounded();
    at::AutoGradMode with_grad(true);
    for (const TunedMatrix& matrix : matrices_) block.Parameter(matrix.target->role).set_requires_grad(true);
    ForWindowBatches(states.size(0), states.size(1), [&](int64_t first, int64_t count) {
      const double share = static_cast<double>(count) / static_cast<double>(states.size(0));
      const at::Tensor found = Forward(block, states.narrow(0, first, count));
      (BlockLoss(found, targets.narrow(0, first, count)) * share).backward();
    });
    for (auto& [target, weights, rounding] : matrices_)
      rounding.Step(
          GradientOf(weights, rounding, *target->format, scale_dtype_, block.Parameter(target->role).grad(), pool_),
          rate);
  }

  static at::Tensor Forward(const Block& block, const at::Tensor& states) {
    const MixedPrecision mixed(block.config().dtype);
    return block.Forward(TorchOps(), states);
  }

  const TuneOptions& options_;
  const Block& dense_;
  DType scale_dtype_;
  ThreadPool& pool_;
  std::vector<TunedMatrix> matrices_;
};

}  // namespace

Planned TunePass::Plan(const PlanInput& input) const {
  RequireDenseAndCalibrated(input);
  if (options_.steps < 1) Fail(input.where + ".steps", "{} is below 1", options_.steps);
  if (!(options_.learning_rate >= 0)) Fail(input.where + ".learning_rate", "{} is below 0", options_.learning_rate);
  RequireWindowsToTrainOn(input, options_.batch_windows, options_.held_out);
  Planned planned;
  planned.config = input.config;
  planned.config.quantization = QuantizationOf(options_.scheme, input.config, input.where);
  planned.output_B = WeightFileBytes(planned.config);
  planned.notes = ClientNotes(planned.config);
  const WalkMemory memory = MemoryOfWalk(input.config, input);
  // Of the matrices: as they are, twice, rounded, as products take them, offsets, the gradients of both, signs and
  // codes; what the graph of a forward pass keeps.
  planned.peak_memory_B = 8 * memory.block_B + 3 * memory.batch_B + 2 * memory.states_B + kKeptFreeBytes;
  if (input.gemm_flops > 0) {
    const double share =
        static_cast<double>(options_.steps * options_.batch_windows) / static_cast<double>(input.calibration_windows);
    planned.seconds = (3 * share + 3) * WalkFlops(input.config, input) / input.gemm_flops;
  }
  return planned;
}

void TunePass::Run(const Checkpoint& in, CheckpointWriter& out, PassContext& context) const {
  at::NoGradGuard no_grad;
  const TokenWindows& calibration = *context.calibration;
  const auto windows = static_cast<int64_t>(calibration.windows.size());
  const int64_t train_windows = windows - HeldOutWindows(windows, options_.held_out);
  BlockKernels kernels(in.config());
  ThreadPool pool(at::get_num_threads());
  at::Tensor targets = Embed(in, calibration.windows);
  const auto tune = [&](int64_t layer, const at::Tensor& states, Block* block) {
    const Block original = block ? *block : Block::Load(in, layer);
    AdvanceStates(kernels, original, targets);
    const std::string name = fmt::format("block {}", layer);
    if (!block && context.rows.Find(name)) return;
    Json row = {{"layer", layer}, {"held_out_before", nullptr}, {"held_out_after", nullptr}, {"tuned", nullptr}};
    if (block) {
      BlockTuner tuner(options_, out, original, pool);
      if (!tuner.Empty()) {
        const double before = MeanBlockLoss(kernels, tuner.Rounded(), states, targets, train_windows);
        tuner.Train(states, targets, train_windows, context.seed + static_cast<uint64_t>(layer));
        const double after = MeanBlockLoss(kernels, tuner.Rounded(), states, targets, train_windows);
        const bool better = after < before;
        if (!better) tuner.Reset();
        tuner.Write(out, *block, context.rows);
        row["held_out_before"] = before;
        row["held_out_after"] = better ? after : before;
        row["tuned"] = better;
        if (!better) row["degraded"] = "not tuned: its held-out error did not fall, so it is rounded to nearest";
        LogInfo("quantize.tune: block {}: held-out error {:.5f} -> {:.5f}{}", layer, before, after,
                better ? "" : ", which is not better: it is rounded to nearest");
      }
    }
    context.rows.Add(name, std::move(row));
  };
  const at::Tensor hidden = WalkBlocks(in, out, calibration, "quantize.tune", tune, {.kernels = &kernels});
  QuantizeEnds(options_.ends, options_.clip, in, out, hidden, context.rows);
  (*context.report)["held_out_windows"] = windows - train_windows;
  (*context.report)["blocks"] = context.rows.All("block ");
  (*context.report)["tensors"] = TensorReports(out, context.rows);
}

}  // namespace ecld
