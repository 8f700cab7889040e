#include "model/factor_inverse.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/testing/near.h"
#include "tests/testing/small_layer.h"

namespace ecld {
namespace {

ThreadPool pool(2);

// Sizes below, of, and above a block of factor_inverse.cpp, one that several chunks of rows make up.
TEST(FactorInverse, IsTheTransposedInverseOfTheCholeskyFactor) {
  for (int64_t size : {1, 40, 512, 1100, 2700}) {
    at::Tensor matrix = CorrelatedHessian(size, 5);
    matrix.diagonal().add_(0.01 * matrix.diagonal().mean());
    const at::Tensor factor = at::linalg_cholesky(matrix.to(at::kDouble));
    const at::Tensor expected = at::linalg_solve_triangular(factor, at::eye(size, at::kDouble), /*upper=*/false).t();
    ASSERT_TRUE(InvertFactorInPlace(matrix, pool));
    EXPECT_TRUE(Near(Floats(matrix.triu()), Floats(expected), Relative(1e-4))) << size;
  }
}

TEST(FactorInverse, SaysWhatIsNotPositiveDefiniteInAnyBlock) {
  for (int64_t place : {3, 600, 1099}) {
    at::Tensor matrix = at::eye(1100);
    matrix[place][place] = -1;
    EXPECT_FALSE(InvertFactorInPlace(matrix, pool)) << place;
  }
}

}  // namespace
}  // namespace ecld
