#include "distill/student.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

namespace ecld {

at::Tensor IdTensor(const std::vector<std::vector<int32_t>>& windows) {
  at::Tensor ids = at::empty({std::ssize(windows), std::ssize(windows.at(0))}, at::kLong);
  int64_t* to = ids.data_ptr<int64_t>();
  for (const auto& window : windows) to = std::ranges::copy(window, to).out;
  return ids;
}

Student::Student(const Checkpoint& in, const Checkpoint* begun_as, ThreadPool& pool)
    : config_(in.config()), parameters_(pool) {
  for (int64_t layer = 0; layer < config_.num_layers; ++layer) {
    blocks_.push_back(Block::Load(in, layer));
    in.DropPages(layer);
  }
  for (const TensorSpec& spec : in.table()) {
    const at::Tensor value = spec.layer < 0 ? ReadForTraining(in, spec)
                                            : blocks_[static_cast<size_t>(spec.layer)].Parameter(spec.role, spec.bias);
    const bool begun = begun_as && spec.format;
    parameters_.Add(in, spec, value,
                    begun ? ReadForTraining(*begun_as, Find(begun_as->table(), spec.role, spec.layer)) : at::Tensor());
  }
  in.DropPages(-1);
}

const Student::Parameter& Student::End(Role role) const {
  return *std::ranges::find_if(parameters_.all(),
                               [&](const Parameter& parameter) { return parameter.spec.role == role; });
}

at::Tensor Student::Embed(const at::Tensor& ids, const at::Tensor& embedding) const {
  at::NoGradGuard no_grad;
  at::Tensor states = embedding.index_select(0, ids.flatten()).view({ids.size(0), ids.size(1), -1});
  if (config_.embedding_scale != 1) states.mul_(static_cast<float>(config_.embedding_scale));
  return states;
}

void Student::AddEmbeddingGradient(const at::Tensor& ids, const at::Tensor& gradient) {
  at::NoGradGuard no_grad;
  End(Role::kEmbedding).gradient.index_add_(0, ids.flatten(), gradient.flatten(0, 1), config_.embedding_scale);
}

Block Student::StoredBlock(int64_t layer) const {
  at::NoGradGuard no_grad;
  Block stored = block(layer).Clone();
  stored.RoundTo(config_);
  return stored;
}

at::Tensor Student::Stored(const Parameter& parameter) const {
  return parameter.grid ? parameter.value.detach() : AsStored(parameter.value, parameter.spec, config_.dtype);
}

uint64_t Student::Bytes(const ModelConfig& config) {
  uint64_t bytes = 0;
  for (const TensorSpec& spec : TensorTable(config)) bytes += TrainedTensors::Bytes(spec);
  return bytes;
}

}  // namespace ecld
