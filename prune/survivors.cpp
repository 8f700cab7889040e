#include "prune/survivors.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <tuple>

namespace ecld {
namespace {

// G B, by the blocks of G.
at::Tensor ByOutputs(const std::vector<at::Tensor>& outputs, const at::Tensor& weight) {
  if (outputs.empty()) return weight;
  std::vector<at::Tensor> parts;
  int64_t first = 0;
  for (const at::Tensor& block : outputs) {
    parts.push_back(block.to(weight.scalar_type()).matmul(weight.narrow(0, first, block.size(0))));
    first += block.size(0);
  }
  return at::cat(parts);
}

// The square of each unit on the diagonal of a matrix. units: [units, size] indices -> [units, size, size].
at::Tensor SquaresOf(const at::Tensor& matrix, const at::Tensor& units) {
  return matrix.index({units.unsqueeze(2), units.unsqueeze(1)});
}

// Least of what a silent input costs beside one of mean energy, so that the system of the repair is regular.
constexpr double kLeastEnergy = 1e-4;

}  // namespace

Survivors::Survivors(const at::Tensor& weight, PruneMoments moments, const RemovalOptions& options)
    : options_(options), moments_(std::move(moments)), dense_(weight.to(at::kDouble)), refits_(dense_) {
  left_ = at::arange(weight.size(1));
  const at::Tensor energy = moments_.energy.to(at::kDouble);
  // Without any energy there is nothing to fit.
  if (!options_.repair || energy.sum().item<double>() <= 0) {
    if (options_.score == Score::kObs) missing_ = moments_.fit.missing.clone();
    return;
  }
  const at::Tensor costs = energy.clamp_min(kLeastEnergy * energy.mean().item<double>());
  at::Tensor factor, failed;
  for (ridge_ = options_.ridge;; ridge_ *= 10) {
    at::Tensor system = moments_.fit.inputs.to(at::kDouble);
    system.diagonal().add_(costs, ridge_);
    std::tie(factor, failed) = at::linalg_cholesky_ex(system);
    if (failed.item<int>() == 0) break;
  }
  inverse_ = at::cholesky_inverse(factor);
  refits_ = at::cat({dense_, moments_.fit.missing.to(at::kDouble).matmul(inverse_)});
}

// Of the error, by G, when a unit goes; best: and the others are at their best then, where there is a repair.
at::Tensor Survivors::Growth(const at::Tensor& units, bool best) const {
  const int64_t count = units.size(0), size = units.size(1), out = dense_.size(0);
  const at::Tensor inputs = units.flatten(), weight = refits_.narrow(0, 0, out).index_select(1, inputs);
  const at::Tensor gradient = ByOutputs(moments_.outputs, weight);
  const at::Tensor inner =
      weight.view({out, count, size})
          .permute({1, 2, 0})
          .bmm(gradient.view({out, count, size}).transpose(0, 1));  // B_U^T G B_U, [units, size, size]
  if (best && inverse_.defined()) return at::linalg_solve(SquaresOf(inverse_, units), inner).diagonal(0, 1, 2).sum(1);
  const at::Tensor alone = (inner * SquaresOf(moments_.fit.inputs, units)).sum(at::IntArrayRef{1, 2});
  if (!best || !missing_.defined()) return alone;
  const at::Tensor first_order = (gradient * missing_.index_select(1, inputs)).sum(0);
  return alone + 2 * first_order.view({count, size}).sum(1);
}

at::Tensor Survivors::ScoresOf(const at::Tensor& units) const {
  const at::Tensor inputs = units.flatten();
  const auto by_input = [&](const at::Tensor& factor) {
    const at::Tensor weight = refits_.narrow(0, 0, dense_.size(0)).index_select(1, inputs);
    return (weight.square().sum(0) * factor.index_select(0, inputs)).view(units.sizes()).sum(1);
  };
  switch (options_.score) {
    case Score::kMagnitude:
      return by_input(moments_.makers);
    case Score::kActivation:
      return by_input(moments_.energy);
    case Score::kFluctuation:
      return by_input((moments_.energy - moments_.mean.square()).clamp_min(0));
    case Score::kTaylor:
      return Growth(units, false);
    case Score::kObs:
      break;
  }
  return Growth(units, true);
}

void Survivors::Remove(const at::Tensor& inputs) {
  if (options_.NeedsProducts()) cost_ += Growth(inputs.unsqueeze(0), true).item<double>() / 2;
  const at::Tensor weight = refits_.index_select(1, inputs);
  if (inverse_.defined()) {
    const at::Tensor rows = inverse_.index_select(0, inputs);
    const at::Tensor change = at::linalg_solve(rows.index_select(1, inputs), rows);  // P_QQ^-1 P_Q
    refits_ = refits_ - weight.matmul(change);
    inverse_.addmm_(rows.t(), change, 1, -1);
  } else if (missing_.defined()) {
    missing_.addmm_(weight.to(at::kFloat), moments_.fit.inputs.index_select(0, inputs));
  }
}

void Survivors::Keep(int64_t size, int64_t groups, int64_t keep, int64_t at_once) {
  const at::Tensor units = left_.view({-1, size});
  const int64_t count = units.size(0), run = count / groups;
  std::vector<int64_t> left(static_cast<size_t>(count)), of_run(static_cast<size_t>(groups), run);
  for (int64_t unit = 0; unit < count; ++unit) left[static_cast<size_t>(unit)] = unit;
  while (std::ssize(left) > groups * keep) {
    const at::Tensor scores = ScoresOf(units.index_select(0, at::tensor(left, at::kLong))).contiguous();
    const at::Tensor order = at::argsort(scores, /*stable=*/true, /*dim=*/0, /*descending=*/true);
    const int64_t most = std::min(at_once, std::ssize(left) - groups * keep);
    std::vector<int64_t> going;
    for (int64_t i = std::ssize(left) - 1; i >= 0 && std::ssize(going) < most; --i) {
      const int64_t unit = left[static_cast<size_t>(order[i].item<int64_t>())];
      int64_t& rest = of_run[static_cast<size_t>(unit / run)];
      if (rest == keep) continue;
      --rest;
      going.push_back(unit);
    }
    std::ranges::sort(going);
    Remove(units.index_select(0, at::tensor(going, at::kLong)).flatten());
    std::erase_if(left, [&](int64_t unit) { return std::ranges::binary_search(going, unit); });
  }
  left_ = units.index_select(0, at::tensor(left, at::kLong)).flatten();
  taken_.reset();
}

// U and V on the inputs that are left.
std::pair<at::Tensor, at::Tensor> Survivors::Changes() const {
  const int64_t out = dense_.size(0);
  const at::Tensor refits = refits_.index_select(1, left_);
  return {refits.narrow(0, 0, out) - dense_.index_select(1, left_), refits.narrow(0, out, out)};
}

// The least of aa a^2 + 2 ab a b + bb b^2 - 2 ga a - 2 gb b for a and b in [0, 1].
std::pair<double, double> Survivors::Judged() const {
  const auto [change, lacking] = Changes();
  const at::Tensor products = moments_.held_out.inputs.to(at::kDouble).index_select(1, left_);
  // What the outputs lack of the dense model's once inputs are gone, by those that are left.
  at::Tensor gone = dense_.clone();
  gone.index_fill_(1, left_, 0);
  const at::Tensor missing = moments_.held_out.missing.index_select(1, left_) + gone.matmul(products);
  const at::Tensor inputs = products.index_select(0, left_);
  const auto dot = [](const at::Tensor& x, const at::Tensor& y) { return (x * y).sum().item<double>(); };
  const at::Tensor by_change = change.matmul(inputs);
  const double aa = dot(by_change, change), ab = dot(by_change, lacking), bb = dot(lacking.matmul(inputs), lacking);
  const double ga = dot(missing, change), gb = dot(missing, lacking);
  const auto share = [](double slope, double curvature) {
    return curvature > 0 ? std::clamp(slope / curvature, 0.0, 1.0) : 0.0;
  };
  // One at a time, from the larger part: convex, so this comes to the least.
  double a = share(ga, aa), b = 0;
  for (int i = 0; i < 100; ++i) {
    b = share(gb - ab * a, bb);
    a = share(ga - ab * b, aa);
  }
  return {a, b};
}

std::pair<double, double> Survivors::Taken() const {
  if (!inverse_.defined()) return {0, 0};
  if (!taken_) taken_ = Judged();
  return *taken_;
}

at::Tensor Survivors::weight() const { return WeightOf(taken(), taken_lacking()).to(at::kFloat); }

at::Tensor Survivors::WeightOf(double taken, double taken_lacking) const {
  const at::Tensor dense = dense_.index_select(1, left_);
  if (!inverse_.defined()) return dense;
  const auto [change, lacking] = Changes();
  return dense + taken * change + taken_lacking * lacking;
}

double Survivors::ErrorOf(double taken, double taken_lacking) const {
  const InputProducts& judge = moments_.held_out;
  const at::Tensor products = judge.inputs.to(at::kDouble);
  at::Tensor change = dense_.neg();
  change.index_add_(1, left_, WeightOf(taken, taken_lacking));
  const double put_out = (dense_.matmul(products) * dense_).sum().item<double>();
  const at::Tensor slope = change.matmul(products) - 2 * judge.missing;
  return put_out > 0 ? (judge.lacking + (slope * change).sum().item<double>()) / put_out : 0;
}

double Survivors::KeptEnergy() const {
  const at::Tensor scores = dense_.square().sum(0) * moments_.energy;
  const double all = scores.sum().item<double>();
  return all > 0 ? scores.index_select(0, left_).sum().item<double>() / all : 1;
}

}  // namespace ecld
