#pragma once
// Pass quantize.gptq: rounds every linear so that its outputs on calibration text stay as near as they can (GPTQ,
// Frantar et al. 2022, arXiv 2210.17323), block by block and, within a block, in the order in which the linears run,
// each on the inputs that the ones rounded before it really give. Formats and result are those of quantize.round.
// The embedding and the head are ends.h's.
//
// With `output: kl` it is the outputs of the whole model that stay near: rows make good each other's errors too, and a
// token counts by how much depends on it (model/statistics.h, gptq_rows.h).

#include "model/pass.h"
#include "quantize/ends.h"
#include "quantize/scheme.h"

namespace ecld {

struct GptqOptions {
  Scheme scheme;  // bits, group size, symmetry: of all projections, of the embedding, of the head, by name
  Clip clip = Clip::kMse;
  HessianOptions hessian;
  bool output_kl = false;
  int64_t sweeps = 0;         // of descent, once all columns of a block's linears have codes (descent.h)
  double output_damping = 1;  // of the moments at the outputs, as a share of the mean of their diagonal
};

class GptqPass : public Pass {
 public:
  explicit GptqPass(GptqOptions options) : options_(std::move(options)) {}

  PassNeeds Needs() const override { return {.calibration = true}; }
  Planned Plan(const PlanInput& input) const override;
  void Run(const Checkpoint& in, CheckpointWriter& out, PassContext& context) const override;

 private:
  GptqOptions options_;
};

std::unique_ptr<Pass> MakeGptq(Options& options);

}  // namespace ecld
