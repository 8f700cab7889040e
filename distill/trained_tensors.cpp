#include "distill/trained_tensors.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.h"
#include "core/options.h"
#include "model/embedding.h"

namespace ecld {
namespace {

// Runs are tens to hundreds of steps: 0.999 would still remember the first, largest gradients at the end.
constexpr double kBeta1 = 0.9, kBeta2 = 0.95, kEpsilon = 1e-8;

}  // namespace

void ReadGridRates(Options& options, LearningRates& rates) {
  const bool weights = options.Choice("train", "weights", {"weights", "scales"},
                                      "all weights and scales, or the scales alone, codes kept") == "weights";
  rates.codes =
      options.Number("code_rate", 2e-3, 0, 1, "of AdamW for weights on a grid, in steps of it, at its highest");
  rates.scales = options.Number("scale_rate", 4e-3, 0, 1, "of AdamW for scales, relative, at its highest");
  if (!weights) rates.codes = rates.weights = 0;
}

double RateAt(int64_t step, int64_t steps, double warm_up) {
  const auto warm = std::max<int64_t>(1, std::llround(warm_up * static_cast<double>(steps)));
  if (step < warm) return static_cast<double>(step + 1) / static_cast<double>(warm);
  return (1 + std::cos(std::numbers::pi * static_cast<double>(step - warm) / static_cast<double>(steps - warm))) / 2;
}

at::Tensor ReadForTraining(const Checkpoint& in, const TensorSpec& spec) {
  if (!spec.matrix()) return at::tensor(in.ReadFloats(spec));
  const at::Tensor values = RowsOf(in.Weight(spec), 0, spec.shape[0]);
  if (!at::isfinite(values).all().item<bool>())
    Fail(fmt::format("{}: tensor \"{}\"", in.directory().string(), spec.name), "holds NaN or infinity");
  return values;
}

TrainedTensors::TrainedTensors(ThreadPool& pool) : pool_(pool), steps_(at::zeros({})) {}

void TrainedTensors::Add(const Checkpoint& in, const TensorSpec& spec, const at::Tensor& value,
                         const at::Tensor& begun_as) {
  Parameter parameter{.spec = spec, .value = value, .gradient = at::zeros_like(value)};
  parameter.value.set_requires_grad(true).mutable_grad() = parameter.gradient;
  if (spec.format) {
    parameter.grid.emplace(ReadRounded(in.Weight(spec), pool_), begun_as, pool_);
    Train(parameter.grid->latent, &LearningRates::codes, false);
    Train(parameter.grid->stretch, &LearningRates::scales, false);
  } else {
    Train(parameter.value, &LearningRates::weights, spec.matrix());
  }
  parameters_.push_back(std::move(parameter));
}

void TrainedTensors::Train(const at::Tensor& value, double LearningRates::*rate, bool decays) {
  trained_.push_back({rate, decays, value.detach(), at::zeros_like(value), at::zeros_like(value)});
}

void TrainedTensors::Step(const LearningRates& rates, double rate) {
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

std::vector<at::Tensor> TrainedTensors::State(bool with_moments) const {
  std::vector<at::Tensor> all;
  for (const Trained& one : trained_) {
    all.push_back(one.value);
    if (with_moments) all.insert(all.end(), {one.first_moment, one.second_moment});
  }
  if (with_moments) all.push_back(steps_);
  return all;
}

void TrainedTensors::Refresh() {
  for (Parameter& parameter : parameters_)
    if (parameter.grid) parameter.grid->Values(parameter.value.detach(), pool_);
}

void TrainedTensors::Write(CheckpointWriter& out) const {
  for (const auto& [spec, value, gradient, grid] : parameters_) {
    if (out.IsWritten(spec)) continue;
    if (grid)
      WriteRows(out, spec, 0, grid->Round(pool_), pool_);
    else
      out.WriteFloats(spec, {value.const_data_ptr<float>(), static_cast<size_t>(value.numel())});
    out.Commit();
  }
}

uint64_t TrainedTensors::Bytes(const TensorSpec& spec) {
  return static_cast<uint64_t>(spec.Elements()) * (spec.format ? 20 : 16);
}

}  // namespace ecld
