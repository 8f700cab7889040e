#include "offload/learn/parameters.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>

#include "offload/learn/arrays.h"

namespace ecld::offload {

Parameters::Parameters(const std::vector<at::Tensor>& parts, at::ScalarType type) : descents_(at::zeros({})) {
  at::NoGradGuard no_grad;
  std::vector<at::Tensor> flat;
  for (const at::Tensor& part : parts) {
    shapes_.push_back(part.sizes().vec());
    sizes_.push_back(part.numel());
    flat.push_back(part.flatten());
  }
  all_ = at::cat(flat).to(type);
  gradient_ = at::zeros_like(all_);
  first_moment_ = at::zeros_like(all_);
  second_moment_ = at::zeros_like(all_);
  views_ = PartsOf(all_);
  gradients_ = PartsOf(gradient_);
}

std::vector<at::Tensor> Parameters::PartsOf(const at::Tensor& all) const {
  std::vector<at::Tensor> parts = all.split_with_sizes(sizes_);
  for (size_t i = 0; i < parts.size(); ++i) parts[i] = parts[i].view(shapes_[i]);
  return parts;
}

double Parameters::Descend(double rate, double most_norm) {
  constexpr double kBeta1 = 0.9, kBeta2 = 0.999, kEpsilon = 1e-5;
  at::NoGradGuard no_grad;
  const double norm = gradient_.norm().item<double>();
  if (!std::isfinite(norm)) return norm;
  const double shrink = std::min(1.0, most_norm / (norm + 1e-6));
  if (shrink < 1) gradient_.mul_(shrink);
  descents_.add_(1);
  at::_fused_adam_({all_}, {gradient_}, {first_moment_}, {second_moment_}, {}, {descents_}, rate, kBeta1, kBeta2, 0,
                   kEpsilon, /*amsgrad=*/false, /*maximize=*/false);
  gradient_.zero_();
  return norm;
}

std::vector<at::Tensor> Parameters::Leaves() const {
  std::vector<at::Tensor> leaves;
  for (size_t i = 0; i < views_.size(); ++i) {
    leaves.push_back(views_[i].detach().requires_grad_(true));
    leaves.back().mutable_grad() = gradients_[i];
  }
  return leaves;
}

void Parameters::Save(const std::string& prefix, NamedArrays* state) const {
  state->emplace(prefix + "parameters", ArrayOf(all_));
  state->emplace(prefix + "first_moment", ArrayOf(first_moment_));
  state->emplace(prefix + "second_moment", ArrayOf(second_moment_));
  state->emplace(prefix + "descents", ArrayOf(std::vector<double>{descents_.item<double>()}));
}

void Parameters::Restore(const std::string& prefix, const NamedArrays& state) {
  at::NoGradGuard no_grad;
  ReadInto(all_, state, prefix + "parameters");
  ReadInto(first_moment_, state, prefix + "first_moment");
  ReadInto(second_moment_, state, prefix + "second_moment");
  descents_.fill_(NumbersIn(state, prefix + "descents", 1)[0]);
}

at::Tensor OrthogonalMatrix(int64_t outputs, int64_t inputs, double length, Random& random) {
  const int64_t longer = std::max(outputs, inputs), shorter = std::min(outputs, inputs);
  at::Tensor noise = at::empty({longer, shorter}, at::kDouble);
  for (int64_t i = 0; i < noise.numel(); ++i) noise.data_ptr<double>()[i] = random.Normal();
  const auto [q, r] = at::linalg_qr(noise);
  const at::Tensor columns = q * at::sign(at::diagonal(r));
  return length * (outputs >= inputs ? columns : columns.t());
}

}  // namespace ecld::offload
