#include "model/block.h"

#include <ATen/ATen.h>

#include <cassert>
#include <cstring>

#include "checkpoint/features.h"

namespace ecld {
namespace {

at::Tensor ToTensor(const std::vector<float>& values, const std::vector<int64_t>& shape) {
  at::Tensor tensor = at::empty(shape, at::kFloat);
  std::memcpy(tensor.data_ptr<float>(), values.data(), values.size() * sizeof(float));
  return tensor;
}

constexpr std::array kTaught = {
    Feature::kQueryKeyValueBias, Feature::kOutputBias,     Feature::kMlpBias,       Feature::kHeadNorms,
    Feature::kWindows,           Feature::kRopeLinear,     Feature::kRopeLlama3,    Feature::kRopeYarn,
    Feature::kRopeDynamic,       Feature::kRopeLongRope,   Feature::kRopeOfWindows, Feature::kGelu,
    Feature::kOutputNorms,       Feature::kEmbeddingScale, Feature::kQueryScalar,   Feature::kLayerSizes};

at::ScalarType TorchType(DType dtype) {
  if (dtype == DType::kBF16) return at::kBFloat16;
  if (dtype == DType::kF16) return at::kHalf;
  return at::kFloat;
}

}  // namespace

at::Tensor AsStored(const at::Tensor& values, const TensorSpec& spec, DType dtype) {
  at::Tensor tensor = values.detach();
  if (spec.stored_less != 0) tensor = tensor - spec.stored_less;
  tensor = tensor.to(TorchType(dtype)).to(at::kFloat);
  return spec.stored_less != 0 ? tensor + spec.stored_less : tensor;
}

Block Block::Load(const Checkpoint& checkpoint, int64_t layer) {
  RequireTaught(checkpoint.config(), kTaught, checkpoint.directory().string(), "passes that run its blocks");
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
    tensor = AsStored(tensor, spec, stored.dtype);
  }
}

std::vector<at::Tensor> Block::Linears(const BlockOps& ops, const LinearGroup& group, const at::Tensor& input) const {
  std::vector<BlockOps::Weight> weights;
  for (Role role : group.linears) {
    weights.push_back({Parameter(role), {}});
    if (Has(role, true)) weights.back().bias = Parameter(role, true);
  }
  return ops.Linears(input, weights);
}

at::Tensor Block::Norm(const BlockOps& ops, Role role, const at::Tensor& input) const {
  return ops.Norm(input, Parameter(role), config_.rms_norm_eps);
}

at::Tensor Block::Sum(const BlockOps& ops, const at::Tensor& states, const LinearGroup& group,
                      const at::Tensor& input) const {
  at::Tensor more = Linears(ops, group, input)[0];
  if (Has(*group.out_norm)) more = Norm(ops, *group.out_norm, more);
  return ops.Sum(states, more);
}

at::Tensor Block::AttentionInput(const BlockOps& ops, const at::Tensor& hidden) const {
  return Norm(ops, Role::kInputNorm, hidden);
}

at::Tensor Block::OutputInput(const BlockOps& ops, const at::Tensor& attention_input) const {
  std::vector<at::Tensor> heads = Linears(ops, GroupOf(Role::kQuery), attention_input);
  for (at::Tensor& states : heads) states = states.view({states.size(0), states.size(1), -1, config_.head_dim});
  if (Has(Role::kQueryNorm)) {
    heads[0] = Norm(ops, Role::kQueryNorm, heads[0]);
    heads[1] = Norm(ops, Role::kKeyNorm, heads[1]);
  }
  return ops.Attend(config_, layer_, heads[0], heads[1], heads[2]);
}

at::Tensor Block::AfterAttention(const BlockOps& ops, const at::Tensor& hidden, const at::Tensor& output_input) const {
  return Sum(ops, hidden, GroupOf(Role::kOutput), output_input);
}

at::Tensor Block::MlpInput(const BlockOps& ops, const at::Tensor& after_attention) const {
  return Norm(ops, Role::kMlpNorm, after_attention);
}

at::Tensor Block::DownInput(const BlockOps& ops, const at::Tensor& mlp_input) const {
  const std::vector<at::Tensor> branches = Linears(ops, GroupOf(Role::kGate), mlp_input);
  return ops.Gate(config_.activation, branches[0], branches[1]);
}

at::Tensor Block::AfterMlp(const BlockOps& ops, const at::Tensor& after_attention, const at::Tensor& down_input) const {
  return Sum(ops, after_attention, GroupOf(Role::kDown), down_input);
}

at::Tensor Block::Forward(const BlockOps& ops, const at::Tensor& hidden, BlockInputs* inputs) const {
  const at::Tensor attention = AttentionInput(ops, hidden);
  const at::Tensor output = OutputInput(ops, attention);
  const at::Tensor middle = AfterAttention(ops, hidden, output);
  const at::Tensor mlp = MlpInput(ops, middle);
  const at::Tensor down = DownInput(ops, mlp);
  if (inputs) inputs->groups = {attention, output, mlp, down};
  return AfterMlp(ops, middle, down);
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
