#include "distill/student.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cassert>
#include <cmath>

#include "core/error.h"
#include "model/embedding.h"

namespace ecld {
namespace {

// Runs are tens to hundreds of steps: 0.999 would still remember the first, largest gradients at the end.
constexpr double kBeta1 = 0.9, kBeta2 = 0.95, kEpsilon = 1e-8;

at::Tensor Read(const Checkpoint& in, const TensorSpec& spec) {
  if (spec.matrix()) {
    const at::Tensor values = RowsOf(in.Weight(spec), 0, spec.shape[0]);
    if (!at::isfinite(values).all().item<bool>())
      Fail(fmt::format("{}: tensor \"{}\"", in.directory().string(), spec.name), "holds NaN or infinity");
    return values;
  }
  return at::tensor(in.ReadFloats(spec));
}

}  // namespace

at::Tensor IdTensor(const std::vector<std::vector<int32_t>>& windows) {
  at::Tensor ids = at::empty({std::ssize(windows), std::ssize(windows.at(0))}, at::kLong);
  int64_t* to = ids.data_ptr<int64_t>();
  for (const auto& window : windows) to = std::ranges::copy(window, to).out;
  return ids;
}

Student::Student(const Checkpoint& in, const Checkpoint* begun_as, ThreadPool& pool)
    : config_(in.config()), pool_(pool), steps_(at::zeros({})) {
  for (int64_t layer = 0; layer < config_.num_layers; ++layer) {
    blocks_.push_back(Block::Load(in, layer));
    in.DropPages(layer);
  }
  for (const TensorSpec& spec : in.table()) {
    Parameter parameter{.spec = spec};
    parameter.value =
        spec.layer < 0 ? Read(in, spec) : blocks_[static_cast<size_t>(spec.layer)].Parameter(spec.role, spec.bias);
    parameter.gradient = at::zeros_like(parameter.value);
    parameter.value.set_requires_grad(true).mutable_grad() = parameter.gradient;
    if (spec.format) {
      const at::Tensor dense =
          begun_as ? Read(*begun_as, Find(begun_as->table(), spec.role, spec.layer)) : at::Tensor();
      parameter.grid.emplace(ReadRounded(in.Weight(spec), pool), dense, pool);
      Train(parameter.grid->latent, &LearningRates::codes, false);
      Train(parameter.grid->stretch, &LearningRates::scales, false);
    } else {
      Train(parameter.value, &LearningRates::weights, spec.matrix());
    }
    parameters_.push_back(std::move(parameter));
  }
  in.DropPages(-1);
}

void Student::Train(const at::Tensor& value, double LearningRates::*rate, bool decays) {
  trained_.push_back({rate, decays, value.detach(), at::zeros_like(value), at::zeros_like(value)});
}

const Student::Parameter& Student::End(Role role) const {
  return *std::ranges::find_if(parameters_, [&](const Parameter& parameter) { return parameter.spec.role == role; });
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

void Student::Step(const LearningRates& rates, double rate) {
  at::NoGradGuard no_grad;
  steps_.add_(1);
  auto trained = trained_.begin();
  const auto descend = [&](const at::Tensor& gradient) {
    const Trained& one = *trained++;
    if (rates.*one.rate == 0) return;
    at::_fused_adamw_({one.value}, {gradient}, {one.first_moment}, {one.second_moment}, {}, {steps_},
                      rate * rates.*one.rate, kBeta1, kBeta2, one.decays ? rates.weight_decay : 0, kEpsilon,
                      /*amsgrad=*/false, /*maximize=*/false);
  };
  for (Parameter& parameter : parameters_) {
    if (parameter.grid) {
      const at::Tensor of_stretch = parameter.grid->TakeGradient(parameter.gradient, pool_);
      descend(parameter.gradient);
      descend(of_stretch);
    } else {
      descend(parameter.gradient);
    }
    parameter.gradient.zero_();
  }
  Refresh();
}

std::vector<at::Tensor> Student::State(bool with_moments) const {
  std::vector<at::Tensor> all;
  for (const Trained& one : trained_) {
    all.push_back(one.value);
    if (with_moments) all.insert(all.end(), {one.first_moment, one.second_moment});
  }
  if (with_moments) all.push_back(steps_);
  return all;
}

void Student::Refresh() {
  for (Parameter& parameter : parameters_)
    if (parameter.grid) parameter.grid->Values(parameter.value.detach(), pool_);
}

void Student::Write(CheckpointWriter& out) const {
  for (const auto& [spec, value, gradient, grid] : parameters_) {
    if (out.IsWritten(spec)) continue;
    if (grid)
      WriteRows(out, spec, 0, grid->Round(pool_), pool_);
    else
      out.WriteFloats(spec, {value.const_data_ptr<float>(), static_cast<size_t>(value.numel())});
    out.Commit();
  }
}

uint64_t Student::Bytes(const ModelConfig& config) {
  uint64_t bytes = 0;
  for (const TensorSpec& spec : TensorTable(config))
    bytes += static_cast<uint64_t>(spec.Elements()) * (spec.format ? 20 : 16);
  return bytes;
}

}  // namespace ecld
