#include "model/block_ops.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "model/operations.h"
#include "model/trained_attention.h"

namespace ecld {

std::vector<at::Tensor> TorchOps::Linears(const at::Tensor& inputs, const std::vector<Weight>& weights) const {
  std::vector<at::Tensor> results;
  for (const auto& [matrix, bias] : weights) {
    std::optional<at::Tensor> cast_bias;
    if (bias) cast_bias = bias->to(products_);
    // Inputs are cast for each anew: so their gradients are summed in float32.
    results.push_back(at::linear(inputs.to(products_), matrix.to(products_), cast_bias).to(at::kFloat));
  }
  return results;
}

at::Tensor TorchOps::Norm(const at::Tensor& inputs, const at::Tensor& weight, double epsilon) const {
  return RmsNorm(inputs, weight, epsilon);
}

at::Tensor TorchOps::Attend(const ModelConfig& config, int64_t layer, const at::Tensor& query, const at::Tensor& key,
                            const at::Tensor& value) const {
  const int64_t tokens = query.size(1);
  const RotaryTables tables = MakeRotaryTables(MakeRope(config, tokens, RopeKind(config, layer)), tokens);
  const auto by_head = [](const at::Tensor& states) { return states.transpose(1, 2); };
  const auto attend = at::GradMode::is_enabled() ? TrainedAttention : CausalAttention;
  const at::Tensor mixed = attend(Rotate(by_head(query), tables), Rotate(by_head(key), tables), by_head(value),
                                  config.sliding_window[static_cast<size_t>(layer)], config.QueryScalar(), products_);
  return mixed.transpose(1, 2).flatten(2).to(at::kFloat);
}

at::Tensor TorchOps::Gate(Activation activation, const at::Tensor& gate, const at::Tensor& up) const {
  return (activation == Activation::kGelu ? at::gelu(gate, "tanh") : at::silu(gate)) * up;
}

at::Tensor TorchOps::Sum(const at::Tensor& states, const at::Tensor& more) const { return states + more; }

}  // namespace ecld
