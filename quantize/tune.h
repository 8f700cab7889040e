#pragma once
// Pass quantize.tune: learns how each block is rounded, so that the block's output stays as near as it can to the
// dense block's (AutoRound: Cheng et al. 2023, arXiv 2309.05516, algorithm 1). For each weight it learns whether to
// round up or down, for each group how far the grid reaches; signed gradient descent, the weights themselves stay.
// A tuned block sees what the rounded blocks before it really give, while its target comes from dense blocks only, so
// it also makes good their errors. A block whose held-out error did not fall is rounded to nearest, and the report
// says so. Embedding and head are rounded as by quantize.gptq.

#include <cstdint>

#include "model/pass.h"
#include "quantize/ends.h"
#include "quantize/scheme.h"

namespace ecld {

struct TuneOptions {
  Scheme scheme;              // bits, group size, symmetry: of all projections, of the embedding, of the head, by name
  Clip clip = Clip::kMse;     // where the grids start from
  int64_t steps = 200;        // of one block
  int64_t batch_windows = 8;  // windows of one step
  double learning_rate = 0;   // of the signed steps, falling to zero; 0: 1 / steps
  double held_out = 0.125;    // share of the windows (the last ones) which only judge; at least one window
  HessianOptions ends;        // of the head
};

class TunePass : public Pass {
 public:
  explicit TunePass(TuneOptions options) : options_(std::move(options)) {}

  PassNeeds Needs() const override { return {.calibration = true}; }
  Planned Plan(const PlanInput& input) const override;
  void Run(const Checkpoint& in, CheckpointWriter& out, PassContext& context) const override;

 private:
  TuneOptions options_;
};

std::unique_ptr<Pass> MakeTune(Options& options);

}  // namespace ecld
