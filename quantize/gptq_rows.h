#pragma once
// GPTQ on the rows of one matrix (Frantar et al. 2022, arXiv 2210.17323, algorithm 1): columns are rounded one after
// the other, and what rounding one does to the outputs is made good by the columns that are still to come. Pure
// maths: no checkpoint, no calibration. Every group's grid is fitted to the weights as they were ("static groups"), so
// any order of columns goes with the packed formats.
//
// Two-sided, an error costs tr(G E H E^T), H the moments of the inputs and G those of the gradients at the outputs, so
// that rows make good each other's errors too (Tseng et al. 2025, arXiv 2505.22988, section 3). The Cholesky factor of
// a Kronecker product is that of its factors: this is the same algorithm on the weights of all rows as one vector.

#include <ATen/core/Tensor.h>

#include "model/rounded_matrix.h"
#include "quantize/grid.h"
#include "quantize/hessian.h"

namespace ecld {

// weights: finite, float [rows, in_features]. inputs: root of the Hessian of its inputs; with that of an identity this
// is rounding to nearest. outputs: root of the moments of the gradients at its outputs; null: an identity, which gives
// the same codes. clip kMse weights the columns by what an error costs that no later column can make good, 1 / U_ii^2.
// The result does not depend on the number of threads; without outputs rows do not depend on each other.
// loss: tr((G + damping) E (H + damping) E^T), E = values - weights, G an identity without outputs.
RoundedMatrix QuantizeRows(const at::Tensor& weights, const HessianRoot& inputs, const HessianRoot* outputs,
                           const PackedFormat& format, Clip clip, DType scale_dtype, ThreadPool& pool);

}  // namespace ecld
