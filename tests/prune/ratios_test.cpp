#include "prune/ratios.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "core/random.h"

namespace ecld {
namespace {

double CostOf(const LevelCosts& costs, const std::vector<size_t>& levels) {
  double sum = 0;
  for (size_t i = 0; i < costs.size(); ++i) sum += costs[i][levels[i]];
  return sum;
}

TEST(LeastCosts, AreTheLeastOfAllChoicesOfThatTotal) {
  Random random(3);
  for (int trial = 0; trial < 20; ++trial) {
    LevelCosts costs(4, std::vector<double>(4));
    for (auto& block : costs)
      for (double& cost : block) cost = random.Uniform();
    if (trial % 3 == 0) costs[1][2] = kNoLevel;
    for (size_t total : {size_t{3}, size_t{7}}) {
      double least = kNoLevel;
      for (size_t code = 0; code < 256; ++code) {
        const std::vector<size_t> levels = {code % 4, code / 4 % 4, code / 16 % 4, code / 64};
        if (std::accumulate(levels.begin(), levels.end(), size_t{0}) == total)
          least = std::min(least, CostOf(costs, levels));
      }
      const std::vector<size_t> found = LeastCosts(costs, total);
      EXPECT_EQ(std::accumulate(found.begin(), found.end(), size_t{0}), total);
      EXPECT_DOUBLE_EQ(CostOf(costs, found), least);
    }
  }
}

TEST(LeastCosts, OfEqualOnesEarlierBlocksGetLess) {
  EXPECT_EQ(LeastCosts(LevelCosts(3, {1, 1, 1}), 3), (std::vector<size_t>{0, 1, 2}));
}

TEST(Corrected, CostsFallAsKlWasMeasuredToRise) {
  const LevelCosts predicted(3, {8, 4, 2, 1, 0});
  const std::vector<size_t> levels = {2, 2, 0};
  // The first rises by twice what was predicted, the second by five times; of the third, at its least, nothing is
  // known.
  const LevelCosts costs = Corrected(predicted, levels, {{4.0, 10.0, std::nullopt}}, 1, 2);
  EXPECT_EQ(costs[0], (std::vector<double>{24, 12, 6, 3, 0})) << "(2 * 2 + 5) / 3";
  EXPECT_EQ(costs[1], (std::vector<double>{32, 16, 8, 4, 0})) << "(2 + 2 * 5) / 3";
  EXPECT_EQ(costs[2][1], 20) << "as the block beside it";
  EXPECT_EQ(costs[2][3], kNoLevel) << "further than it may move";
}

TEST(Corrected, WhatWasNotSeenToRiseStillCostsSomething) {
  const LevelCosts predicted(5, {8, 4, 2, 1, 0});
  const LevelCosts costs = Corrected(predicted, {2, 2, 2, 2, 2}, {{-1.0, -1.0, 6.0, 6.0, 6.0}}, 1, 2);
  EXPECT_DOUBLE_EQ(costs[0][1], 4 * 0.1 * 3);
  EXPECT_DOUBLE_EQ(costs[1][1], 4 * 0.75);
}

}  // namespace
}  // namespace ecld
