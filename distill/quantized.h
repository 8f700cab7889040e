#pragma once
// Pass distill.quantized: trains a quantized student towards its teacher's predictions (training.h), with every packed
// matrix inside its grid (grid_matrix.h): what is trained is what is written. Formats stay. All weights and scales are
// trained, or scales alone, the codes kept.

#include "distill/training.h"

namespace ecld {

struct DistillQuantizedOptions {
  TrainingOptions training;
  // Where latent codes begin: at the teacher's weights as far as the codes allow, where teacher and student have the
  // same shapes; else, or when false, in the middle of the codes.
  bool begin_at_teacher = false;
};

class DistillQuantizedPass : public Pass {
 public:
  explicit DistillQuantizedPass(DistillQuantizedOptions options) : options_(std::move(options)) {}

  PassNeeds Needs() const override { return {.calibration = true, .teacher = true, .packed = true}; }
  Planned Plan(const PlanInput& input) const override;
  void Run(const Checkpoint& in, CheckpointWriter& out, PassContext& context) const override;

 private:
  DistillQuantizedOptions options_;
};

std::unique_ptr<Pass> MakeDistillQuantized(Options& options);

}  // namespace ecld
