#include "quantize/hessian.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "model/factor_inverse.h"

namespace ecld {
namespace {

constexpr int64_t kPanel = 512;  // columns or rows that are looked at or copied at a time
constexpr int kMaxRepairs = 8;

// In pieces: Torch makes three tensors of the size of what it is asked about.
bool AllFinite(const at::Tensor& matrix) {
  for (const at::Tensor& rows : matrix.split(kPanel))
    if (!at::isfinite(rows).all().item<bool>()) return false;
  return true;
}

}  // namespace

void Symmetrize(at::Tensor& matrix) {
  const int64_t size = matrix.size(0);
  for (int64_t first = 0; first < size; first += kPanel) {
    const int64_t end = std::min(first + kPanel, size);
    at::Tensor corner = matrix.slice(0, first, end).slice(1, first, end);
    corner.copy_(corner.tril() + corner.tril(-1).t());
    matrix.slice(0, first, end).slice(1, end, size).copy_(matrix.slice(0, end, size).slice(1, first, end).t());
  }
}

HessianRoot RootOf(const at::Tensor& hessian, double damping, bool activation_order, ThreadPool& pool) {
  const int64_t features = hessian.size(0);
  HessianRoot result;
  const at::Tensor energy = hessian.diagonal();
  result.silent_inputs = (energy == 0).sum().item<int64_t>();
  result.order = activation_order ? std::get<1>(at::sort(energy, /*stable=*/true, /*dim=*/0, /*descending=*/true))
                                  : at::arange(features, at::kLong);
  const double mean_energy = energy.mean().item<double>();
  result.usable = mean_energy > 0 && AllFinite(hessian);
  // With J the reversal and J H J = L L^T, R = J L J is upper triangular and H = R R^T, so U = R^-1 = J L^-1 J.
  const at::Tensor reversed_order = result.order.flip(0);
  while (result.usable) {
    result.damping = damping;
    for (int64_t i = 0; i < result.repairs; ++i) result.damping *= 10;
    at::Tensor reversed = hessian.index_select(0, reversed_order).index_select(1, reversed_order);
    reversed.diagonal().add_(result.damping * mean_energy);
    if (InvertFactorInPlace(reversed, pool)) {
      result.root = at::empty_like(reversed);
      for (int64_t first = 0; first < features; first += kPanel) {
        const int64_t end = std::min(first + kPanel, features);
        const at::Tensor rows = reversed.slice(0, first, end).triu(first);  // of L^-T
        result.root.slice(1, features - end, features - first).copy_(rows.flip(at::IntArrayRef{0, 1}).t());
      }
      if (AllFinite(result.root)) return result;
    }
    result.usable = ++result.repairs <= kMaxRepairs;
  }
  result.root = at::eye(features, hessian.options());
  return result;
}

at::Tensor Damped(const at::Tensor& hessian, const HessianRoot& root) {
  at::Tensor damped = hessian.clone();
  damped.diagonal().add_(root.damping * hessian.diagonal().mean().item<double>());
  return damped;
}

at::Tensor PivotCosts(const HessianRoot& root) {
  at::Tensor costs = at::empty({root.order.size(0)}, at::kFloat);
  return costs.index_copy_(0, root.order, root.root.diagonal().square().reciprocal());
}

}  // namespace ecld
