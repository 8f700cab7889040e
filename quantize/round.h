#pragma once
// Pass quantize.round: every projection matrix is rounded to the nearest point of its group's grid. Needs no
// calibration text and streams rows, so memory does not grow with the model. The result is a compressed-tensors
// "pack-quantized" checkpoint; Plan says which clients cannot load it.
//
// nearest.h is the maths for a chunk of rows; the pass walks the checkpoint with it.

#include "model/pass.h"
#include "quantize/grid.h"
#include "quantize/scheme.h"

namespace ecld {

struct RoundOptions {
  Scheme scheme;  // bits, group size, symmetry: of all projections, of the embedding, of the head, by name
  Clip clip = Clip::kMinMax;
};

class RoundPass : public Pass {
 public:
  explicit RoundPass(RoundOptions options) : options_(std::move(options)) {}

  PassNeeds Needs() const override { return {}; }
  Planned Plan(const PlanInput& input) const override;
  void Run(const Checkpoint& in, CheckpointWriter& out, PassContext& context) const override;

 private:
  RoundOptions options_;
};

std::unique_ptr<Pass> MakeRound(Options& options);

}  // namespace ecld
