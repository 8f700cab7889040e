#include "distill/quantized.h"

#include "core/error.h"
#include "core/options.h"
#include "distill/teacher.h"

namespace ecld {
namespace {

// The first matrix of the student that the teacher has in another shape; null: none.
const TensorSpec* FirstOtherShape(const std::vector<TensorSpec>& student, const std::vector<TensorSpec>& teacher) {
  for (const TensorSpec& spec : student) {
    const TensorSpec* its =
        spec.format ? FindIn(teacher, spec.role, spec.layer) : &spec;  // what is dense begins as it is
    if (!its || its->shape != spec.shape) return &spec;
  }
  return nullptr;
}

}  // namespace

Planned DistillQuantizedPass::Plan(const PlanInput& input) const {
  if (!input.config.quantization)
    Fail(input.where, "the model is not quantized; put this stage behind one of quantize.*, or use distill.logits");
  if (input.teacher) RequireDenseTeacher(input);
  Planned planned = PlanTraining(options_.training, input);
  if (!options_.begin_at_teacher) return planned;
  const std::vector<TensorSpec> own = TensorTable(input.config);
  if (const TensorSpec* other = FirstOtherShape(own, TensorTable(*input.teacher)))
    Fail(input.where + ".begin", "{} has another shape in the teacher; only begin: codes can be", other->name);
  return planned;
}

void DistillQuantizedPass::Run(const Checkpoint& in, CheckpointWriter& out, PassContext& context) const {
  RunTraining("distill.quantized", options_.training, options_.begin_at_teacher ? context.teacher : nullptr, in, out,
              context);
}

std::unique_ptr<Pass> MakeDistillQuantized(Options& options) {
  DistillQuantizedOptions quantized;
  LearningRates& rates = quantized.training.rates;
  rates.weights = options.Number("learning_rate", 4e-4, 0, 1, "of AdamW for what is not quantized, at its highest");
  ReadGridRates(options, rates);
  quantized.begin_at_teacher =
      options.Choice(
          "begin", "codes", {"codes", "teacher"},
          "where weights begin: in the middle of their codes, or where the teacher's are, if it has the same "
          "shapes") == "teacher";
  ReadTraining(options, quantized.training);
  return std::make_unique<DistillQuantizedPass>(std::move(quantized));
}

}  // namespace ecld
