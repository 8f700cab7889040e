#include "distill/student_gradient.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <vector>

#include "model/block_walker.h"
#include "model/operations.h"

namespace ecld {

double StudentGradient::Add(const at::Tensor& ids, const Predicting& teacher, double scale) {
  at::NoGradGuard no_grad;
  const ModelConfig& config = student_.config();
  std::vector<at::Tensor> entering;
  at::Tensor states = student_.Embed(ids, student_.embedding().value);
  for (int64_t layer = 0; layer < config.num_layers; ++layer) {
    entering.push_back(states.clone());
    AdvanceStates(kernels_, student_.block(layer), states);
  }
  const at::Tensor norm = student_.final_norm().value;
  const at::Tensor normed = kernels_.Norm(states, norm, config.rms_norm_eps).flatten(0, 1);
  const PredictingGradient of_end{at::zeros_like(normed), student_.head().gradient, scale,
                                  config.dtype == DType::kBF16 ? at::kBFloat16 : at::kFloat};
  const double loss =
      VocabularyLoss(loss_, kernels_, {normed, student_.head().value}, teacher, NextTokens(ids), &of_end);

  at::Tensor gradient = of_end.states.view_as(states);
  const auto go_back = [&](at::Tensor& input, const auto& forward) {
    at::AutoGradMode with_grad(true);
    input.set_requires_grad(true);
    forward(input).backward(gradient);
    gradient = input.grad();
  };
  go_back(states, [&](const at::Tensor& input) { return RmsNorm(input, norm, config.rms_norm_eps); });
  for (int64_t layer = config.num_layers - 1; layer >= 0; --layer) {
    go_back(entering.back(), [&](const at::Tensor& input) { return student_.block(layer).Forward(ops_, input); });
    entering.pop_back();
  }
  student_.AddEmbeddingGradient(ids, gradient);
  return loss;
}

}  // namespace ecld
