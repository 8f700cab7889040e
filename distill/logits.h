#pragma once
// Pass distill.logits: trains all weights of a dense student, a pruned one say, towards its teacher's predictions
// (training.h).

#include "distill/training.h"

namespace ecld {

class DistillLogitsPass : public Pass {
 public:
  explicit DistillLogitsPass(TrainingOptions options) : options_(std::move(options)) {}

  PassNeeds Needs() const override { return {.calibration = true, .teacher = true}; }
  Planned Plan(const PlanInput& input) const override;
  void Run(const Checkpoint& in, CheckpointWriter& out, PassContext& context) const override;

 private:
  TrainingOptions options_;
};

std::unique_ptr<Pass> MakeDistillLogits(Options& options);

}  // namespace ecld
