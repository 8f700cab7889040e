#include "model/block.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cassert>
#include <cstring>

#include "model/block_kernels.h"
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

BlockKernels* Block::Kernels() const { return at::GradMode::is_enabled() ? nullptr : kernels_; }

std::vector<at::Tensor> Block::Linears(const LinearGroup& group, const at::Tensor& input) const {
  std::vector<BlockKernels::Weight> weights;
  for (Role role : group.linears) {
    weights.push_back({Parameter(role), {}});
    if (Has(role, true)) weights.back().bias = Parameter(role, true);
  }
  if (Kernels()) return Kernels()->Linears(input, weights);
  std::vector<at::Tensor> results;
  for (const auto& [matrix, bias] : weights) results.push_back(at::linear(input, matrix, bias).to(at::kFloat));
  return results;
}

at::Tensor Block::Norm(Role role, const at::Tensor& input) const {
  return Kernels() ? Kernels()->Norm(input, Parameter(role)) : RmsNorm(input, Parameter(role), config_.rms_norm_eps);
}

at::Tensor Block::Sum(const at::Tensor& states, const at::Tensor& more) const {
  return Kernels() ? Kernels()->Sum(states, more) : states + more;
}

at::Tensor Block::AttentionInput(const at::Tensor& hidden) const { return Norm(Role::kInputNorm, hidden); }

at::Tensor Block::OutputInput(const at::Tensor& attention_input) const {
  const int64_t windows = attention_input.size(0), tokens = attention_input.size(1);
  std::vector<at::Tensor> heads = Linears(GroupOf(Role::kQuery), attention_input);
  for (at::Tensor& states : heads) states = states.view({windows, tokens, -1, config_.head_dim});
  if (config_.qk_norm) {
    heads[0] = Norm(Role::kQueryNorm, heads[0]);
    heads[1] = Norm(Role::kKeyNorm, heads[1]);
  }
  if (Kernels()) return Kernels()->Attend(layer_, heads[0], heads[1], heads[2]);
  const RotaryTables tables = MakeRotaryTables(config_, tokens);
  for (at::Tensor& states : heads) states = states.transpose(1, 2);
  at::Tensor mixed = CausalAttention(Rotate(heads[0], tables), Rotate(heads[1], tables), heads[2],
                                     config_.sliding_window[static_cast<size_t>(layer_)]);
  return mixed.transpose(1, 2).reshape({windows, tokens, config_.QueryWidth()}).to(at::kFloat);
}

at::Tensor Block::AfterAttention(const at::Tensor& hidden, const at::Tensor& output_input) const {
  return Sum(hidden, Linears(GroupOf(Role::kOutput), output_input)[0]);
}

at::Tensor Block::MlpInput(const at::Tensor& after_attention) const { return Norm(Role::kMlpNorm, after_attention); }

at::Tensor Block::DownInput(const at::Tensor& mlp_input) const {
  const std::vector<at::Tensor> branches = Linears(GroupOf(Role::kGate), mlp_input);
  if (Kernels()) return Kernels()->Gate(branches[0], branches[1]);
  return at::silu(branches[0]) * branches[1];
}

at::Tensor Block::AfterMlp(const at::Tensor& after_attention, const at::Tensor& down_input) const {
  return Sum(after_attention, Linears(GroupOf(Role::kDown), down_input)[0]);
}

at::Tensor Block::Forward(const at::Tensor& hidden, BlockInputs* inputs) const {
  const at::Tensor attention = AttentionInput(hidden);
  const at::Tensor output = OutputInput(attention);
  const at::Tensor middle = AfterAttention(hidden, output);
  const at::Tensor mlp = MlpInput(middle);
  const at::Tensor down = DownInput(mlp);
  if (inputs) inputs->groups = {attention, output, mlp, down};
  return AfterMlp(middle, down);
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
