#include "model/block.h"

#include <ATen/ATen.h>

#include <cassert>
#include <cstring>

#include "model/operations.h"

namespace ecld {
namespace {

at::Tensor ToTensor(const std::vector<float>& values, const std::vector<int64_t>& shape) {
  at::Tensor tensor = at::empty(shape, at::kFloat);
  std::memcpy(tensor.data_ptr<float>(), values.data(), values.size() * sizeof(float));
  return tensor;
}

at::ScalarType TorchType(DType dtype) {
  if (dtype == DType::kBF16) return at::kBFloat16;
  if (dtype == DType::kF16) return at::kHalf;
  return at::kFloat;
}

}  // namespace

Block Block::Load(const Checkpoint& checkpoint, int64_t layer) {
  Block block;
  block.layer_ = layer;
  block.config_ = checkpoint.config();
  for (const auto& spec : checkpoint.table())
    if (spec.layer == layer)
      block.parameters_[{spec.role, spec.bias}] = ToTensor(checkpoint.ReadFloats(spec), spec.shape);
  return block;
}

std::vector<at::Tensor> Block::Parameters() const {
  std::vector<at::Tensor> all;
  for (const auto& [key, tensor] : parameters_) all.push_back(tensor);
  return all;
}

Block Block::Clone() const {
  Block copy = *this;
  for (auto& [key, tensor] : copy.parameters_) tensor = tensor.detach().clone();
  return copy;
}

void Block::RoundTo(const ModelConfig& stored) {
  for (const auto& spec : TensorTable(stored)) {
    if (spec.layer != layer_ || spec.format) continue;
    at::Tensor& tensor = Parameter(spec.role, spec.bias);
    tensor = tensor.detach().to(TorchType(stored.dtype)).to(at::kFloat);
  }
}

at::Tensor Block::Linear(Role role, const at::Tensor& input) const {
  std::optional<at::Tensor> bias;
  if (Has(role, true)) bias = Parameter(role, true);
  return at::linear(input, Parameter(role), bias);
}

at::Tensor Block::AttentionInput(const at::Tensor& hidden) const {
  return RmsNorm(hidden, Parameter(Role::kInputNorm), config_.rms_norm_eps);
}

at::Tensor Block::OutputInput(const at::Tensor& attention_input) const {
  const int64_t windows = attention_input.size(0), tokens = attention_input.size(1);
  auto heads = [&](Role role) { return Linear(role, attention_input).view({windows, tokens, -1, config_.head_dim}); };
  at::Tensor query = heads(Role::kQuery), key = heads(Role::kKey), value = heads(Role::kValue);
  if (config_.qk_norm) {
    query = RmsNorm(query, Parameter(Role::kQueryNorm), config_.rms_norm_eps);
    key = RmsNorm(key, Parameter(Role::kKeyNorm), config_.rms_norm_eps);
  }
  const RotaryTables tables = MakeRotaryTables(config_, tokens);
  at::Tensor mixed = CausalAttention(Rotate(query.transpose(1, 2), tables), Rotate(key.transpose(1, 2), tables),
                                     value.transpose(1, 2), config_.sliding_window[static_cast<size_t>(layer_)]);
  return mixed.transpose(1, 2).reshape({windows, tokens, config_.QueryWidth()});
}

at::Tensor Block::AfterAttention(const at::Tensor& hidden, const at::Tensor& output_input) const {
  return hidden + Linear(Role::kOutput, output_input);
}

at::Tensor Block::MlpInput(const at::Tensor& after_attention) const {
  return RmsNorm(after_attention, Parameter(Role::kPostNorm), config_.rms_norm_eps);
}

at::Tensor Block::DownInput(const at::Tensor& mlp_input) const {
  return at::silu(Linear(Role::kGate, mlp_input)) * Linear(Role::kUp, mlp_input);
}

at::Tensor Block::Forward(const at::Tensor& hidden, BlockInputs* inputs) const {
  const at::Tensor attention = AttentionInput(hidden);
  const at::Tensor output = OutputInput(attention);
  const at::Tensor middle = AfterAttention(hidden, output);
  const at::Tensor mlp = MlpInput(middle);
  const at::Tensor down = DownInput(mlp);
  if (inputs) *inputs = {attention, output, mlp, down};
  return middle + Linear(Role::kDown, down);
}

void Block::Write(CheckpointWriter& out) const {
  for (const auto& spec : out.table()) {
    if (spec.layer != layer_ || out.IsWritten(spec)) continue;
    at::Tensor tensor = Parameter(spec.role, spec.bias).detach().contiguous();
    assert(tensor.sizes().vec() == spec.shape);
    out.WriteFloats(spec, {tensor.data_ptr<float>(), static_cast<size_t>(tensor.numel())});
  }
}

}  // namespace ecld
