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

void Block::RoundTo(DType dtype) {
  for (auto& [key, tensor] : parameters_) tensor = tensor.detach().to(TorchType(dtype)).to(at::kFloat);
}

at::Tensor Block::Linear(Role role, const at::Tensor& input) const {
  std::optional<at::Tensor> bias;
  if (Has(role, true)) bias = Parameter(role, true);
  return at::linear(input, Parameter(role), bias);
}

at::Tensor Block::Attention(const at::Tensor& normed, BlockInputs* inputs) const {
  const int64_t windows = normed.size(0), tokens = normed.size(1);
  auto heads = [&](Role role) { return Linear(role, normed).view({windows, tokens, -1, config_.head_dim}); };
  at::Tensor query = heads(Role::kQuery), key = heads(Role::kKey), value = heads(Role::kValue);
  if (config_.qk_norm) {
    query = RmsNorm(query, Parameter(Role::kQueryNorm), config_.rms_norm_eps);
    key = RmsNorm(key, Parameter(Role::kKeyNorm), config_.rms_norm_eps);
  }
  const RotaryTables tables = MakeRotaryTables(config_, tokens);
  at::Tensor mixed = CausalAttention(Rotate(query.transpose(1, 2), tables), Rotate(key.transpose(1, 2), tables),
                                     value.transpose(1, 2), config_.sliding_window[static_cast<size_t>(layer_)]);
  mixed = mixed.transpose(1, 2).reshape({windows, tokens, config_.QueryWidth()});
  if (inputs) inputs->output = mixed;
  return Linear(Role::kOutput, mixed);
}

at::Tensor Block::FeedForward(const at::Tensor& normed, BlockInputs* inputs) const {
  at::Tensor gated = at::silu(Linear(Role::kGate, normed)) * Linear(Role::kUp, normed);
  if (inputs) inputs->down = gated;
  return Linear(Role::kDown, gated);
}

at::Tensor Block::Forward(const at::Tensor& hidden, BlockInputs* inputs) const {
  at::Tensor normed = RmsNorm(hidden, Parameter(Role::kInputNorm), config_.rms_norm_eps);
  if (inputs) inputs->attention = normed;
  at::Tensor middle = hidden + Attention(normed, inputs);
  normed = RmsNorm(middle, Parameter(Role::kPostNorm), config_.rms_norm_eps);
  if (inputs) inputs->mlp = normed;
  return middle + FeedForward(normed, inputs);
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
