#include "distill/logits.h"

#include "core/error.h"
#include "core/options.h"

namespace ecld {

Planned DistillLogitsPass::Plan(const PlanInput& input) const {
  if (input.config.quantization)
    Fail(input.where, "the model is quantized; distill.quantized trains it inside its grids");
  if (!(options_.rates.weights > 0)) Fail(input.where + ".learning_rate", "{} is not above 0", options_.rates.weights);
  return PlanTraining(options_, input);
}

void DistillLogitsPass::Run(const Checkpoint& in, CheckpointWriter& out, PassContext& context) const {
  RunTraining("distill.logits", options_, nullptr, in, out, context);
}

std::unique_ptr<Pass> MakeDistillLogits(Options& options) {
  TrainingOptions training;
  training.rates.weights = options.Number("learning_rate", 1e-4, 0, 1, "of AdamW, at its highest");
  ReadTraining(options, training);
  return std::make_unique<DistillLogitsPass>(std::move(training));
}

}  // namespace ecld
