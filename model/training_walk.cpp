#include "model/training_walk.h"

#include <fmt/format.h>

#include "core/log.h"
#include "model/block_training.h"

namespace ecld {
namespace {

// Trains, judges and finishes one block; the row of the report.
Json TrainBlock(const TrainingWalk& training, BlockTrainer& trainer, const WalkedBlock& walked, int64_t train_windows,
                uint64_t seed) {
  const TorchOps torch;
  const BlockOps& ops = training.ops ? *training.ops : torch;
  const auto error = [&] { return MeanBlockLoss(ops, trainer.Now(), walked.states, walked.targets, train_windows); };
  const double before = error();
  trainer.Train(walked.states.narrow(0, 0, train_windows), walked.targets.narrow(0, 0, train_windows), seed);
  const double after = error();
  const bool better = after < before;
  if (!better) trainer.Undo();
  trainer.Finish(walked.block);
  LogInfo("{}: block {}: held-out error {:.5f} -> {:.5f}{}", training.label, walked.block.layer(), before, after,
          better ? "" : ", which is not better: " + training.undone);
  Json row = {{"held_out_before", before}, {"held_out_after", better ? after : before}, {training.done, better}};
  if (!better)
    row["degraded"] = fmt::format("not {}: its held-out error did not fall, so {}", training.done, training.undone_so);
  return row;
}

}  // namespace

at::Tensor WalkTraining(const Checkpoint& in, CheckpointWriter& out, PassContext& context,
                        const TrainingWalk& training) {
  const auto windows = static_cast<int64_t>(context.calibration->windows.size());
  const int64_t held_out = HeldOutWindows(windows, training.held_out);
  (*context.report)["held_out_windows"] = held_out;
  const Json untrained = {{"held_out_before", nullptr}, {"held_out_after", nullptr}, {training.done, nullptr}};
  const auto train = [&](const WalkedBlock& walked) -> BlockResult {
    const auto trainer = training.trainer(walked.block);
    if (!trainer) return {untrained, {}};
    const uint64_t seed = context.seed + static_cast<uint64_t>(walked.block.layer());
    return {TrainBlock(training, *trainer, walked, windows - held_out, seed), {}};
  };
  return WalkBlocks(in, out, context,
                    {.label = training.label,
                     .change = train,
                     .lost_row = untrained,
                     .ops = training.ops,
                     .teacher = training.teacher})
      .states;
}

}  // namespace ecld
