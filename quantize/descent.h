#pragma once
// What rounding column by column leaves on the table: once all columns have codes, each code and each scale is set to
// the best there is while all others stay, some times over (coordinate descent, Behdin et al. 2023, arXiv 2309.01885,
// here on both sides of the matrix and for scales too). The loss tr(G E H E^T) falls with every step.

#include <ATen/core/Tensor.h>

#include "core/threads.h"
#include "model/rounded_matrix.h"

namespace ecld {

// rounded: of weights [rows, in_features], contiguous; its codes, the scales of its grids and its loss are changed.
// inputs: H, symmetric [in_features, in_features] with a positive diagonal; outputs: G, symmetric [rows, rows] with a
// positive diagonal, or undefined: an identity. Zero points stay. A sweep looks at every code and every scale once.
void Descend(const at::Tensor& weights, const at::Tensor& inputs, const at::Tensor& outputs, int64_t sweeps,
             RoundedMatrix& rounded);

}  // namespace ecld
