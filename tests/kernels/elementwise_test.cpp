// RMSNorm, rotary embedding and SwiGLU against their formulas in double.

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/random.h"
#include "kernels/activation/swiglu.h"
#include "kernels/norm/norm.h"
#include "kernels/rope/rope.h"
#include "tests/testing/near.h"

namespace ecld {
namespace {

std::vector<float> Normal(int64_t count, uint64_t seed) {
  Random random(seed);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = static_cast<float>(random.Normal());
  return values;
}

TEST(RmsNorm, IsTheFormula) {
  ThreadPool pool(2);
  const int64_t rows = 700, width = 37;
  std::vector<float> x = Normal(rows * width, 1);
  const std::vector<float> weight = Normal(width, 2);
  std::vector<float> y(x.size(), NAN);
  std::vector<double> expected(x.size());
  for (int64_t r = 0; r < rows; ++r) {
    double squares = 0;
    for (int64_t i = 0; i < width; ++i) squares += std::pow(x[r * width + i], 2);
    for (int64_t i = 0; i < width; ++i)
      expected[r * width + i] = x[r * width + i] / std::sqrt(squares / width + 1e-3) * weight[i];
  }
  RmsNormArgs args{.x = x.data(), .weight = weight.data(), .rows = rows, .width = width, .eps = 1e-3f, .y = y.data()};
  RmsNorm(args, pool);
  EXPECT_TRUE(Near(y, expected, Relative(1e-6)));
  args.y = x.data();
  RmsNorm(args, pool);
  EXPECT_TRUE(Near(x, y, Exact())) << "in place";
}

TEST(Rope, RotatesPairsHalfAHeadApart) {
  ThreadPool pool(2);
  const int64_t rows = 5, heads = 3, dim = 8;
  std::vector<float> x = Normal(rows * heads * dim, 3);
  const std::vector<float> before = x;
  std::vector<float> cosine, sine;
  for (int64_t i = 0; i < rows * dim / 2; ++i) {
    cosine.push_back(std::cos(0.3f * static_cast<float>(i)));
    sine.push_back(std::sin(0.3f * static_cast<float>(i)));
  }
  Rope({.x = x.data(), .cosine = cosine.data(), .sine = sine.data(), .rows = rows, .heads = heads, .head_dim = dim},
       pool);
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t head = 0; head < heads; ++head)
      for (int64_t i = 0; i < dim / 2; ++i) {
        const int64_t low = (row * heads + head) * dim + i, high = low + dim / 2;
        const double angle = 0.3 * static_cast<double>(row * dim / 2 + i);
        EXPECT_NEAR(x[low], before[low] * std::cos(angle) - before[high] * std::sin(angle), 1e-5);
        EXPECT_NEAR(x[high], before[high] * std::cos(angle) + before[low] * std::sin(angle), 1e-5);
      }
}

TEST(Swiglu, IsTheFormulaAlsoFarOut) {
  ThreadPool pool(2);
  std::vector<float> gate = Normal(10001, 4), up = Normal(10001, 5);
  gate[0] = 200;
  gate[1] = -200;
  std::vector<float> y(gate.size(), NAN);
  std::vector<double> expected;
  for (size_t i = 0; i < gate.size(); ++i) expected.push_back(gate[i] / (1 + std::exp(-double{gate[i]})) * up[i]);
  Swiglu({.gate = gate.data(), .up = up.data(), .count = static_cast<int64_t>(gate.size()), .y = y.data()}, pool);
  EXPECT_TRUE(Near(y, expected, {.max_abs = 1e-4, .mean_abs = 1e-7}));
}

}  // namespace
}  // namespace ecld
