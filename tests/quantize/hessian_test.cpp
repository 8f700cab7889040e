#include "quantize/hessian.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/testing/near.h"
#include "tests/testing/small_layer.h"

namespace ecld {
namespace {

ThreadPool pool(1);

TEST(HessianRoot, IsTheRootOfTheDampedInverseInTheOrderOfEnergy) {
  const at::Tensor hessian = CorrelatedHessian(40, 3);
  for (bool activation_order : {false, true}) {
    const HessianRoot root = RootOf(hessian, 0.05, activation_order, pool);
    EXPECT_TRUE(root.usable);
    EXPECT_EQ(root.repairs, 0);
    EXPECT_EQ(root.silent_inputs, 0);
    at::Tensor damped = hessian.to(at::kDouble);
    damped.diagonal().add_(0.05 * damped.diagonal().mean());
    damped = damped.index_select(0, root.order).index_select(1, root.order);
    EXPECT_TRUE(Near(Floats(root.root.t().matmul(root.root)), Floats(at::linalg_inv(damped)), Relative(1e-4)));
    EXPECT_TRUE(Near(Floats(root.root.tril(-1)), Floats(at::zeros({40, 40})), Exact()));
    if (activation_order) {
      const at::Tensor energy = hessian.diagonal().index_select(0, root.order);
      EXPECT_TRUE((energy.slice(0, 1) <= energy.slice(0, 0, 39)).all().item<bool>());
    }
  }
}

TEST(HessianRoot, RaisesTheDampingOfAMatrixThatIsNotPositiveDefinite) {
  at::Tensor hessian = at::eye(8);
  hessian[0][1] = hessian[1][0] = 1.2f;  // eigenvalue -0.2: the damping goes from 0.01 over 0.1 to 1
  const HessianRoot root = RootOf(hessian, 0.01, true, pool);
  EXPECT_TRUE(root.usable);
  EXPECT_EQ(root.repairs, 2);
  EXPECT_NEAR(root.damping, 1, 1e-9);
}

TEST(HessianRoot, OfNothingOrOfNanIsTheIdentityAndSaysSo) {
  at::Tensor nan = at::eye(8);
  nan[3][3] = NAN;
  for (const at::Tensor& hessian : {at::zeros({8, 8}), nan}) {
    const HessianRoot root = RootOf(hessian, 0.01, true, pool);
    EXPECT_FALSE(root.usable);
    EXPECT_TRUE(Near(Floats(root.root), Floats(at::eye(8)), Exact()));
  }
  at::Tensor half = at::eye(8);
  half[2][2] = half[5][5] = 0;
  EXPECT_EQ(RootOf(half, 0.01, true, pool).silent_inputs, 2);
}

}  // namespace
}  // namespace ecld
