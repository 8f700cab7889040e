#pragma once
// What calibration says about the inputs of a linear: the Gram matrix H = sum_t x_t x_t^T (model/block_kernels.h adds
// it up), which is the Hessian of the squared error of its outputs, and the triangular root of its inverse that GPTQ
// works with.

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "core/threads.h"

namespace ecld {

// Copies the lower triangle of a square matrix to the upper one.
void Symmetrize(at::Tensor& matrix);

struct HessianRoot {
  at::Tensor order;     // int64 [features]: the columns in the order in which they are to be rounded
  at::Tensor root;      // [features, features], U: upper triangular, U^T U = (H + damping * mean(diag H) * I)^-1, with
                        // rows and columns of H in that order
  double damping = 0;   // what was used in the end
  int64_t repairs = 0;  // how often damping had to be raised tenfold because H + damping was not positive definite
  int64_t silent_inputs = 0;  // inputs that are zero in all of the calibration text
  bool usable = true;         // false: there is no root (H is zero, or not finite); U is then the identity
};

// hessian: symmetric [features, features]. activation_order: the inputs of most energy first (equal ones keep their
// order). Frantar et al. 2022 (arXiv 2210.17323), section 3.3 steps 2 and 3; U comes from one Cholesky factor of the
// reversed matrix and its triangular inverse. REQUIRES: damping > 0.
HessianRoot RootOf(const at::Tensor& hessian, double damping, bool activation_order, ThreadPool& pool);

// H + damping * mean(diag H) * I, of which root is.
at::Tensor Damped(const at::Tensor& hessian, const HessianRoot& root);

// What an error of a feature costs that no feature rounded after it can make good: 1 / U_ii^2, float [features] in the
// matrix' own order.
at::Tensor PivotCosts(const HessianRoot& root);

}  // namespace ecld
