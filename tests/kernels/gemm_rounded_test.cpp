// Products whose activations may be rounded, and several products at once.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/random.h"
#include "kernels/gemm/implementations.h"
#include "tests/testing/near.h"
#include "tests/testing/owned_weight.h"

namespace ecld {
namespace {

std::vector<float> RoundedToBf16(std::vector<float> x) {
  for (float& value : x) value = Bf16ToFloat(FloatToBf16(value));
  return x;
}

std::vector<float> Reference(const WeightView& weight, const std::vector<float>& x, int64_t m, ThreadPool& pool) {
  std::vector<float> y(static_cast<size_t>(m * weight.out_features), NAN);
  GemmReference({.weight = weight, .x = x.data(), .m = m, .y = y.data()}, pool);
  return y;
}

struct Shape {
  int64_t m, n, k;
};

// Rows, columns and inputs that fill tiles, panels and pairs, and ones that do not; the last is cut in rows as well.
constexpr Shape kShapes[] = {{1, 5, 7},      {7, 33, 31},     {8, 37, 768},   {9, 1, 1},
                             {11, 31, 2049}, {12, 64, 832},   {13, 257, 576}, {16, 130, 1025},
                             {24, 66, 2600}, {26, 96, 4160},  {48, 200, 31},  {64, 47, 288},
                             {118, 33, 64},  {152, 300, 130}, {257, 32, 96},  {700, 520, 2101}};

TEST(GemmRounded, DenseProductsAreThoseOfRoundedOrOfExactActivations) {
  Random random(1);
  ThreadPool pool(2);
  for (const Shape& shape : kShapes) {
    const auto weight = OwnedWeight::Dense(shape.n, shape.k, DType::kBF16, random);
    const std::vector<float> x = RandomRows(shape.m, shape.k, random);
    const std::vector<float> exact = Reference(weight.view(), x, shape.m, pool);
    const std::vector<float> rounded = Reference(weight.view(), RoundedToBf16(x), shape.m, pool);
    const double bound = 4e-7 * LargestAbsoluteSum(weight.view(), x) + 1e-30;
    for (const GemmImplementation& implementation : GemmImplementations()) {
      std::vector<float> y(exact.size() + 1, NAN);
      GemmArgs args{.weight = weight.view(), .x = x.data(), .m = shape.m, .y = y.data()};
      const bool takes_exact = implementation.supports(args);
      args.exact = false;
      if (!implementation.supports(args)) continue;
      SCOPED_TRACE(fmt::format("{} m {} n {} k {}", implementation.name, shape.m, shape.n, shape.k));
      GemmScratch scratch;
      implementation.run(std::span(&args, 1), pool, scratch);
      EXPECT_TRUE(std::isnan(y.back())) << "wrote past the end";
      y.pop_back();
      ASSERT_TRUE(Near(y, takes_exact ? exact : rounded, {.max_abs = bound, .mean_abs = bound / 2}));
    }
  }
}

// What gemm.h promises for whatever implementation is chosen (2^-8 of each product), and half of that: errors of many
// products cancel.
TEST(GemmRounded, RoundingCostsLessThanItsBudget) {
  Random random(2);
  ThreadPool pool(2);
  for (const Shape& shape : {Shape{16, 96, 576}, Shape{100, 64, 2048}}) {
    const auto weight = OwnedWeight::Dense(shape.n, shape.k, DType::kBF16, random);
    const std::vector<float> x = RandomRows(shape.m, shape.k, random);
    std::vector<float> y(static_cast<size_t>(shape.m * shape.n), NAN);
    Gemm({.weight = weight.view(), .x = x.data(), .m = shape.m, .y = y.data(), .exact = false}, pool);
    const double bound = (std::exp2(-9) + 4e-7) * LargestAbsoluteSum(weight.view(), x);
    EXPECT_TRUE(Near(y, Reference(weight.view(), x, shape.m, pool), {.max_abs = bound, .mean_abs = bound / 8}));
  }
}

TEST(GemmRounded, NanReachesExactlyItsRow) {
  Random random(3);
  ThreadPool pool(2);
  const int64_t m = 15, n = 37, k = 71;
  const auto weight = OwnedWeight::Dense(n, k, DType::kBF16, random);
  std::vector<float> x = RandomRows(m, k, random);
  x[13 * k + k - 1] = NAN;
  for (const GemmImplementation& implementation : GemmImplementations()) {
    std::vector<float> y(static_cast<size_t>(m * n));
    const GemmArgs args{.weight = weight.view(), .x = x.data(), .m = m, .y = y.data(), .exact = false};
    if (!implementation.supports(args)) continue;
    GemmScratch scratch;
    implementation.run(std::span(&args, 1), pool, scratch);
    for (size_t i = 0; i < y.size(); ++i) EXPECT_EQ(std::isnan(y[i]), i / n == 13) << implementation.name << " " << i;
  }
}

// Of three products of one x, as of query, key and value, each comes out as it does alone, whatever the threads.
TEST(GemmTogether, ProductsAreThoseOfTheProductsAlone) {
  Random random(4);
  ThreadPool one(1), three(3);
  const int64_t k = 576;
  for (bool exact : {true, false})
    for (int64_t m : {1, 3, 20}) {
      const std::vector<float> x = RandomRows(m, k, random);
      std::vector<OwnedWeight> weights;
      std::vector<std::vector<float>> together, alone;
      for (int64_t n : {130, 33, 7}) {
        weights.push_back(OwnedWeight::Dense(n, k, DType::kBF16, random));
        together.emplace_back(static_cast<size_t>(m * n), NAN);
        alone.emplace_back(static_cast<size_t>(m * n), NAN);
      }
      std::vector<GemmArgs> products;
      for (size_t i = 0; i < weights.size(); ++i)
        products.push_back(
            {.weight = weights[i].view(), .x = x.data(), .m = m, .y = together[i].data(), .exact = exact});
      for (const GemmImplementation& implementation : GemmImplementations()) {
        if (!implementation.supports(products[0])) continue;
        GemmScratch scratch;
        implementation.run(products, three, scratch);
        for (size_t i = 0; i < products.size(); ++i) {
          GemmArgs args = products[i];
          args.y = alone[i].data();
          implementation.run(std::span(&args, 1), one, scratch);
          EXPECT_TRUE(Near(together[i], alone[i], Exact())) << implementation.name << " m " << m << " product " << i;
        }
      }
    }
}

}  // namespace
}  // namespace ecld
