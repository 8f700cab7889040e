#pragma once
// GPTQ on the rows of one matrix (Frantar et al. 2022, arXiv 2210.17323, algorithm 1): columns are rounded one after
// the other, and what rounding one does to the outputs is made good by the columns that are still to come. Pure
// maths: no checkpoint, no calibration. Every group's grid is fitted to the weights as they were ("static groups"), so
// any order of columns goes with the packed formats.

#include <ATen/core/Tensor.h>

#include "quantize/hessian.h"
#include "quantize/rounded_matrix.h"

namespace ecld {

// weights: finite, float [rows, in_features]. root: of the Hessian of its inputs; with that of an identity this is
// rounding to nearest. clip kMse weights the columns by what an error costs that no later column can make good,
// 1 / U_ii^2. The result does not depend on the number of threads, and rows do not depend on each other.
// loss: tr(E (H + damping) E^T), E = values - weights.
RoundedMatrix QuantizeRows(const at::Tensor& weights, const HessianRoot& root, const PackedFormat& format, Clip clip,
                           DType scale_dtype, ThreadPool& pool);

}  // namespace ecld
