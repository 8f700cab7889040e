#pragma once
// The triangular root of the inverse of a large symmetric matrix, in blocks, so that nearly all of its operations are
// products (Golub and Van Loan, Matrix Computations, section 4.2.9), by the kernels of kernels/gemm: several times as
// fast as the LAPACK that Torch comes with where that has no code for the processor at hand.

#include <ATen/core/Tensor.h>

#include "core/threads.h"

namespace ecld {

// matrix: symmetric [size, size], float32, contiguous; the lower triangle is read. With L L^T = matrix, L lower
// triangular, L^-T is in the upper triangle afterwards, and nothing of use below the diagonal. Returns false, with
// nothing of use in it, where the matrix is not positive definite in float32.
bool InvertFactorInPlace(at::Tensor& matrix, ThreadPool& pool);

}  // namespace ecld
