// RMSNorm, rotary embedding, SwiGLU and sums of every implementation against their formulas in double.

#include "kernels/elementwise/elementwise.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "core/random.h"
#include "tests/testing/near.h"

namespace ecld {
namespace {

std::vector<float> Normal(int64_t count, uint64_t seed) {
  Random random(seed);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = static_cast<float>(random.Normal());
  return values;
}

// Vectors whole and cut, and none at all.
constexpr int64_t kCounts[] = {1, 3, 16, 37, 64, 129, 576, 1001};

class ElementwiseOf : public testing::TestWithParam<size_t> {
 protected:
  void SetUp() override {
    if (!kernels().supports()) GTEST_SKIP() << "this processor does not run " << kernels().name;
  }
  static const ElementwiseKernels& kernels() { return ElementwiseImplementations()[GetParam()]; }
};

TEST_P(ElementwiseOf, RmsNormIsTheFormula) {
  for (int64_t width : kCounts) {
    std::vector<float> x = Normal(width, 1);
    const std::vector<float> weight = Normal(width, 2);
    std::vector<float> y(x.size() + 1, NAN);
    double squares = 0;
    for (float value : x) squares += double{value} * value;
    std::vector<double> expected;
    for (size_t i = 0; i < x.size(); ++i)
      expected.push_back(x[i] / std::sqrt(squares / static_cast<double>(width) + 1e-3) * weight[i]);
    kernels().rms_norm(x.data(), weight.data(), width, 1e-3f, y.data());
    EXPECT_TRUE(std::isnan(y.back())) << "wrote past the end";
    y.pop_back();
    EXPECT_TRUE(Near(y, expected, Relative(1e-6)));
    kernels().rms_norm(x.data(), weight.data(), width, 1e-3f, x.data());
    EXPECT_TRUE(Near(x, y, Exact())) << "in place";
  }
}

TEST_P(ElementwiseOf, RotatesPairsHalfAHeadApart) {
  const int64_t heads = 3;
  for (int64_t dim : {2, 8, 20, 64, 130}) {
    std::vector<float> x = Normal(heads * dim, 3);
    const std::vector<float> before = x;
    std::vector<float> cosine, sine;
    for (int64_t i = 0; i < dim / 2; ++i) {
      cosine.push_back(std::cos(0.3f * static_cast<float>(i)));
      sine.push_back(std::sin(0.3f * static_cast<float>(i)));
    }
    kernels().rotate(x.data(), cosine.data(), sine.data(), heads, dim);
    std::vector<double> expected(x.size());
    for (int64_t head = 0; head < heads; ++head)
      for (int64_t i = 0; i < dim / 2; ++i) {
        const auto low = static_cast<size_t>(head * dim + i), high = low + static_cast<size_t>(dim / 2);
        const double angle = 0.3 * static_cast<double>(i);
        expected[low] = before[low] * std::cos(angle) - before[high] * std::sin(angle);
        expected[high] = before[high] * std::cos(angle) + before[low] * std::sin(angle);
      }
    EXPECT_TRUE(Near(x, expected, {.max_abs = 1e-5}));
  }
}

using GateKernel = void (*)(const float* gate, const float* up, int64_t count, float* y);

void ExpectGate(GateKernel kernel, double (*activation)(double)) {
  for (int64_t count : kCounts) {
    std::vector<float> gate = Normal(count, 4), up = Normal(count, 5);
    gate[0] = 200;
    gate[gate.size() / 2] = -200;
    std::vector<float> y(gate.size() + 1, NAN);
    std::vector<double> expected;
    for (size_t i = 0; i < gate.size(); ++i) expected.push_back(activation(gate[i]) * up[i]);
    kernel(gate.data(), up.data(), count, y.data());
    EXPECT_TRUE(std::isnan(y.back())) << "wrote past the end";
    y.pop_back();
    EXPECT_TRUE(Near(y, expected, {.max_abs = 1e-4}));
  }
  // Over the range where it matters, and NaN is not lost.
  std::vector<float> gate, up(20001, 1), y(20001);
  for (int i = -10000; i <= 10000; ++i) gate.push_back(static_cast<float>(i) / 500);
  std::vector<double> expected;
  for (float g : gate) expected.push_back(activation(g));
  kernel(gate.data(), up.data(), 20001, y.data());
  EXPECT_TRUE(Near(y, expected, {.max_abs = 4e-6}));
  gate[7] = NAN;
  kernel(gate.data(), up.data(), 20001, y.data());
  EXPECT_TRUE(std::isnan(y[7]));
}

TEST_P(ElementwiseOf, SwigluIsTheFormulaAlsoFarOut) {
  ExpectGate(kernels().swiglu, [](double x) { return x / (1 + std::exp(-x)); });
}

TEST_P(ElementwiseOf, GegluIsTheFormulaAlsoFarOut) {
  ExpectGate(kernels().geglu,
             [](double x) { return x / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); });
}

TEST_P(ElementwiseOf, AddsEachElementOnce) {
  for (int64_t count : kCounts) {
    const std::vector<float> x = Normal(count, 6);
    std::vector<float> sum = Normal(count, 7), expected = sum;
    for (size_t i = 0; i < x.size(); ++i) expected[i] += x[i];
    kernels().add(x.data(), count, sum.data());
    EXPECT_TRUE(Near(sum, expected, Exact()));
  }
}

TEST_P(ElementwiseOf, FindsTheOneThatIsNotFinite) {
  for (int64_t count : kCounts)
    for (float bad : {NAN, INFINITY, -INFINITY}) {
      std::vector<float> x(static_cast<size_t>(count), std::numeric_limits<float>::max());
      EXPECT_TRUE(kernels().all_finite(x.data(), count));
      for (size_t at : {size_t{0}, x.size() / 2, x.size() - 1}) {
        const float good = std::exchange(x[at], bad);
        EXPECT_FALSE(kernels().all_finite(x.data(), count)) << count << " at " << at;
        x[at] = good;
      }
    }
}

INSTANTIATE_TEST_SUITE_P(All, ElementwiseOf, testing::Range(size_t{0}, ElementwiseImplementations().size()),
                         [](const auto& of) { return std::string(ElementwiseImplementations()[of.param].name); });

}  // namespace
}  // namespace ecld
