#include "model/packed_weight.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include "tests/model/packed_tensors.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/near.h"

namespace ecld {
namespace {

class PackedWeights : public testing::Test {
 protected:
  static constexpr PackedFormat kFormat = {.bits = 4, .group_size = 32};

  PackedWeight Weight(const PackedTensors& problem, int64_t in, const PackedFormat& format = kFormat) {
    return {problem.codes, problem.scales, problem.zero_points, in, format, pool_};
  }

  ThreadPool pool_{1};
};

TEST_F(PackedWeights, MultiplyAsTorchDoesWithTheDenseMatrix) {
  auto generator = at::detail::createCPUGenerator(5);
  uint64_t seed = 1;
  for (int bits : {2, 3, 4, 5, 6, 8})
    for (bool symmetric : {true, false})
      for (auto [out, in] : {std::pair<int64_t, int64_t>{1, 7}, {33, 70}, {64, 256}})
        for (at::ScalarType scales : {at::kHalf, at::kBFloat16, at::kFloat}) {
          const PackedFormat format = {.bits = bits, .group_size = 32, .symmetric = symmetric};
          const PackedTensors problem = RandomPackedTensors(out, in, format, scales, seed++);
          const PackedWeight weight = Weight(problem, in, format);
          const at::Tensor x = at::randn({2, 3, in}, generator);
          const at::Tensor y = weight.Multiply(x);
          ASSERT_EQ(y.sizes(), at::IntArrayRef({2, 3, out}));
          const std::vector<float> expected = Values(at::matmul(x, problem.dense.t()));
          EXPECT_TRUE(Near(Values(y), expected, Relative(1e-5))) << format.Name() << " " << out << " x " << in;
        }
}

TEST_F(PackedWeights, KeepTheTypeOfTheirInputAndItsStrides) {
  const PackedTensors problem = RandomPackedTensors(40, 96, kFormat, at::kHalf, 7);
  const PackedWeight weight = Weight(problem, 96);
  auto generator = at::detail::createCPUGenerator(6);
  for (at::ScalarType type : {at::kFloat, at::kHalf, at::kBFloat16}) {
    // Every second row of a wider matrix that was transposed.
    const at::Tensor x = at::randn({96, 10}, generator).to(type).t().slice(0, 0, 10, 2);
    ASSERT_FALSE(x.is_contiguous());
    const at::Tensor y = weight.Multiply(x);
    EXPECT_EQ(y.scalar_type(), type);
    const double rounding = type == at::kFloat ? 1e-5 : type == at::kHalf ? 5e-4 : 4e-3;
    EXPECT_TRUE(Near(Values(y), Values(at::matmul(x.to(at::kFloat), problem.dense.t())), Relative(rounding)));
  }
  EXPECT_EQ(weight.Multiply(at::zeros({96})).sizes(), at::IntArrayRef({40}));
  EXPECT_EQ(weight.Multiply(at::zeros({0, 96})).sizes(), at::IntArrayRef({0, 40}));
}

TEST_F(PackedWeights, PartsThatDoNotFitAreNamed) {
  const PackedTensors good = RandomPackedTensors(40, 96, kFormat, at::kHalf, 8);
  PackedTensors bad = good;
  bad.codes = good.codes.to(at::kLong);
  EXPECT_ERROR(Weight(bad, 96), "codes: is Long [40, 12] on cpu; it must be Int [40, 12]");
  EXPECT_ERROR(Weight(good, 128), "codes: is Int [40, 12] on cpu; it must be Int [40, 16]");
  bad = good;
  bad.codes = at::Tensor();
  EXPECT_ERROR(Weight(bad, 96), "codes: must be Int [out_features, words]");
  bad = good;
  bad.codes = at::zeros({12, 40}, at::kInt).t();
  EXPECT_ERROR(Weight(bad, 96), "codes: is not contiguous");
  bad = good;
  bad.scales = at::ones({40, 4}, at::kHalf);
  EXPECT_ERROR(Weight(bad, 96), "scales: is Half [40, 4] on cpu; it must be BFloat16 [40, 3]");
  bad = good;
  bad.zero_points = at::zeros({5, 3}, at::kInt);
  EXPECT_ERROR(Weight(bad, 96), "zero_points: are given, but the format W4 g32 sym has none");
  EXPECT_ERROR(Weight(good, 96, {.bits = 4, .group_size = 32, .symmetric = false}),
               "zero_points: is undefined; it must be [5, 3]");
  EXPECT_ERROR(Weight(good, 96, {.bits = 7, .group_size = 32}), "packed weight");
  EXPECT_ERROR(Weight(good, 0), "in_features: is 0, must be at least 1");
}

TEST_F(PackedWeights, InputsThatDoNotFitAreSaid) {
  const PackedTensors problem = RandomPackedTensors(40, 96, kFormat, at::kHalf, 9);
  const PackedWeight weight = Weight(problem, 96);
  EXPECT_ERROR(weight.Multiply(at::zeros({2, 95})), "x: is Float [2, 95] on cpu; its last size must be 96");
  EXPECT_ERROR(weight.Multiply(at::zeros({2, 96}, at::kDouble)), "x: is Double [2, 96] on cpu; it must be Float, Half");
  EXPECT_ERROR(weight.Multiply(at::Tensor()), "x: must be [..., 96]");
  EXPECT_ERROR(weight.Multiply(at::zeros({2, 96}, at::device(at::kMeta))), "on meta; the weight is on cpu");
  EXPECT_ERROR(weight.Multiply(at::zeros({2, 96}).requires_grad_()), "x: wants a gradient");
  const c10::AutoGradMode no_grad(false);
  EXPECT_EQ(weight.Multiply(at::zeros({2, 96}).requires_grad_()).requires_grad(), false);
}

TEST_F(PackedWeights, GoToADeviceThatIsThere) {
  const PackedTensors problem = RandomPackedTensors(40, 96, kFormat, at::kHalf, 10);
  const PackedWeight weight = Weight(problem, 96);
  EXPECT_TRUE(weight.To(at::kCPU).device().is_cpu());
  EXPECT_ERROR(weight.To(at::kMeta), "device: is meta, must be cuda");
  if (!FindCudaDevice()) {
    EXPECT_ERROR(weight.To(at::kCUDA), "device: cuda was asked for, but there is no GPU to run on: ");
    GTEST_SKIP() << "no GPU: the product on one is not run";
  }
  const PackedWeight there = weight.To(at::kCUDA);
  for (int64_t rows : {1, 5}) {
    const at::Tensor x = at::randn({rows, 96}).to(at::kHalf);
    EXPECT_TRUE(Near(Values(there.Multiply(x.to(there.device())).cpu()), Values(weight.Multiply(x)), Relative(5e-4)));
  }
}

}  // namespace
}  // namespace ecld
