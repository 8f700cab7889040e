#include "quantize/hessian.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace ecld {
namespace {

constexpr int64_t kPanel = 512;  // columns of a Gram matrix added at a time: those right of the diagonal are skipped
constexpr int kMaxRepairs = 8;

}  // namespace

void AddGram(const at::Tensor& inputs, at::Tensor& gram) {
  const int64_t features = gram.size(0);
  const at::Tensor x = inputs.reshape({-1, features});
  for (int64_t first = 0; first < features; first += kPanel) {
    const int64_t columns = std::min(kPanel, features - first);
    at::Tensor panel = gram.slice(0, first, features).slice(1, first, first + columns);
    panel.addmm_(x.slice(1, first, features).t(), x.slice(1, first, first + columns));
  }
}

void Symmetrize(at::Tensor& matrix) {
  const int64_t size = matrix.size(0);
  for (int64_t first = 0; first < size; first += kPanel) {
    const int64_t end = std::min(first + kPanel, size);
    at::Tensor corner = matrix.slice(0, first, end).slice(1, first, end);
    corner.copy_(corner.tril() + corner.tril(-1).t());
    matrix.slice(0, first, end).slice(1, end, size).copy_(matrix.slice(0, end, size).slice(1, first, end).t());
  }
}

HessianRoot RootOf(const at::Tensor& hessian, double damping, bool activation_order) {
  const int64_t features = hessian.size(0);
  HessianRoot result;
  const at::Tensor energy = hessian.diagonal();
  result.silent_inputs = (energy == 0).sum().item<int64_t>();
  result.order = activation_order ? std::get<1>(at::sort(energy, /*stable=*/true, /*dim=*/0, /*descending=*/true))
                                  : at::arange(features, at::kLong);
  const double mean_energy = energy.mean().item<double>();
  result.usable = mean_energy > 0 && at::isfinite(hessian).all().item<bool>();
  // With J the reversal and J H J = L L^T, R = J L J is upper triangular and H = R R^T, so U = R^-1.
  const at::Tensor reversed_order = result.order.flip(0);
  while (result.usable) {
    result.damping = damping;
    for (int64_t i = 0; i < result.repairs; ++i) result.damping *= 10;
    at::Tensor reversed = hessian.index_select(0, reversed_order).index_select(1, reversed_order);
    reversed.diagonal().add_(result.damping * mean_energy);
    auto [factor, info] = at::linalg_cholesky_ex(reversed);
    if (info.item<int>() == 0) {
      at::Tensor inverse = at::linalg_solve_triangular(factor, at::eye(features, factor.options()), /*upper=*/false);
      result.root = inverse.flip(at::IntArrayRef{0, 1});
      if (at::isfinite(result.root).all().item<bool>()) return result;
    }
    result.usable = ++result.repairs <= kMaxRepairs;
  }
  result.root = at::eye(features, hessian.options());
  return result;
}

}  // namespace ecld
