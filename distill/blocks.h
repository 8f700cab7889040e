#pragma once
// Pass distill.blocks: trains each block of the student, one after the other, towards what the teacher's block of the
// same place puts out. The student's block sees what the student's earlier blocks really give, so it also learns to
// make good their errors. Matrices that the student packs are trained inside their grids (grid_matrix.h), what is dense
// as it is. One block of each model is in memory. A block whose held-out error does not fall keeps its weights, and the
// report says so.

#include <cstdint>

#include "distill/trained_tensors.h"
#include "model/pass.h"

namespace ecld {

struct DistillBlocksOptions {
  int64_t epochs = 1;  // times each block sees the training windows
  LearningRates rates;
  int64_t batch_windows = 4;  // windows of one step
  double warm_up = 0.1;       // share of the steps in which rates rise
  double held_out = 0.125;    // share of the windows (the last ones) which only judge; at least one window
};

class DistillBlocksPass : public Pass {
 public:
  explicit DistillBlocksPass(DistillBlocksOptions options) : options_(options) {}

  PassNeeds Needs() const override { return {.calibration = true, .teacher = true, .packed = true}; }
  Planned Plan(const PlanInput& input) const override;
  void Run(const Checkpoint& in, CheckpointWriter& out, PassContext& context) const override;

 private:
  DistillBlocksOptions options_;
};

std::unique_ptr<Pass> MakeDistillBlocks(Options& options);

}  // namespace ecld
