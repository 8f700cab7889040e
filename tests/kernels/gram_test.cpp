// The sums of products of all pairs of columns, by every implementation that this processor runs.

#include "kernels/gemm/gram.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/random.h"

namespace ecld {
namespace {

struct Problem {
  int64_t tokens, features;
  std::vector<float> x, sums;

  Problem(int64_t rows, int64_t width, auto value) : tokens(rows), features(width) {
    Random random(static_cast<uint64_t>(rows * 1000 + width));
    for (int64_t i = 0; i < tokens * features; ++i) x.push_back(value(random));
    sums.assign(static_cast<size_t>(features * features), 3);
  }

  void Add(const GramImplementation& implementation, ThreadPool& pool, bool exact) {
    GramScratch scratch;
    implementation.run({.x = x.data(), .tokens = tokens, .features = features, .sums = sums.data(), .exact = exact},
                       pool, scratch);
  }

  double Expected(int64_t row, int64_t column, bool magnitudes = false) const {
    double sum = 0;
    for (int64_t t = 0; t < tokens; ++t) {
      const double product =
          double{x[static_cast<size_t>(t * features + row)]} * x[static_cast<size_t>(t * features + column)];
      sum += magnitudes ? std::fabs(product) : product;
    }
    return sum;
  }

  float At(int64_t row, int64_t column) const { return sums[static_cast<size_t>(row * features + column)]; }
};

constexpr int64_t kTokens[] = {1, 2, 3, 255, 256, 300}, kFeatures[] = {1, 15, 16, 31, 32, 33, 64, 130, 200, 576};

void ForAll(auto body) {
  for (const GramImplementation& implementation : GramImplementations())
    for (bool exact : {true, false})
      for (int64_t tokens : kTokens)
        for (int64_t features : kFeatures) {
          if (!implementation.supports({.tokens = tokens, .features = features, .exact = exact})) continue;
          SCOPED_TRACE(
              fmt::format("{} {} {} x {}", implementation.name, exact ? "exact" : "rounded", tokens, features));
          body(implementation, exact, tokens, features);
        }
}

// Of small whole numbers no sum is rounded, so that nothing may be left out, counted twice or put elsewhere.
TEST(Gram, AddsEveryProductOnce) {
  ThreadPool pool(3);
  ForAll([&](const GramImplementation& implementation, bool exact, int64_t tokens, int64_t features) {
    Problem problem(tokens, features, [](Random& random) { return static_cast<float>(random.Below(17)) - 8; });
    problem.Add(implementation, pool, exact);
    problem.Add(implementation, pool, exact);
    for (int64_t row = 0; row < features; ++row)
      for (int64_t column = 0; column <= row; ++column)
        ASSERT_EQ(problem.At(row, column), 3 + 2 * problem.Expected(row, column)) << row << ", " << column;
  });
}

TEST(Gram, RoundsInputsToBfloat16AtMost) {
  ThreadPool pool(2);
  ForAll([&](const GramImplementation& implementation, bool exact, int64_t tokens, int64_t features) {
    Problem problem(tokens, features, [](Random& random) { return static_cast<float>(random.Normal()); });
    problem.Add(implementation, pool, exact);
    for (int64_t row = 0; row < features; row += 7)
      for (int64_t column = 0; column <= row; column += 5) {
        const double bound = (exact ? 4e-7 : std::ldexp(1.01, -7)) * problem.Expected(row, column, true) + 1e-6;
        ASSERT_NEAR(problem.At(row, column), 3 + problem.Expected(row, column), bound) << row << ", " << column;
      }
  });
}

TEST(Gram, DoesNotDependOnTheNumberOfThreads) {
  ThreadPool one(1), four(4);
  ForAll([&](const GramImplementation& implementation, bool exact, int64_t tokens, int64_t features) {
    Problem alone(tokens, features, [](Random& random) { return static_cast<float>(random.Normal()); });
    Problem shared = alone;
    alone.Add(implementation, one, exact);
    shared.Add(implementation, four, exact);
    for (int64_t row = 0; row < features; ++row)
      for (int64_t column = 0; column <= row; ++column) ASSERT_EQ(alone.At(row, column), shared.At(row, column));
  });
}

}  // namespace
}  // namespace ecld
