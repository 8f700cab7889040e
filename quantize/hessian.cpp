#include "quantize/hessian.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace ecld {
namespace {

constexpr int64_t kPanel = 512;  // columns that are copied at a time
constexpr int kMaxRepairs = 8;

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
    reversed.reset();  // a matrix of a wide layer is a large part of the memory that the pass takes
    if (info.item<int>() == 0) {
      at::Tensor inverse = at::linalg_solve_triangular(factor, at::eye(features, factor.options()), /*upper=*/false);
      factor.reset();
      result.root = inverse.flip(at::IntArrayRef{0, 1});
      if (at::isfinite(result.root).all().item<bool>()) return result;
    }
    result.usable = ++result.repairs <= kMaxRepairs;
  }
  result.root = at::eye(features, hessian.options());
  return result;
}

}  // namespace ecld
