#include "search/descent.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <set>

namespace ecld {
namespace {

TEST(DescendAxes, FindsTheLeastOfASumAndLooksAtFewPoints) {
  std::set<Point> looked;
  const auto loss = [&](const Point& point) {
    EXPECT_TRUE(looked.insert(point).second) << "asked twice";
    return std::pow(static_cast<double>(point[0]) - 3, 2) + std::pow(static_cast<double>(point[1]) - 1, 2) +
           static_cast<double>(point[2]);
  };
  EXPECT_EQ(DescendAxes({6, 6, 6}, loss), (Point{3, 1, 0}));
  EXPECT_LT(looked.size(), 15u);
}

TEST(DescendAxes, EndsWhereNoStepHelpsAndNeverAboveTheBeginning) {
  std::mt19937 random(3);
  for (int round = 0; round < 100; ++round) {
    const std::vector<size_t> sizes = {1 + random() % 4, 1 + random() % 4, 1 + random() % 4};
    std::vector<double> losses(sizes[0] * sizes[1] * sizes[2]);
    for (double& loss : losses) loss = random() % 5 == 0 ? INFINITY : static_cast<double>(random() % 50);
    const auto loss = [&](const Point& p) { return losses[(p[0] * sizes[1] + p[1]) * sizes[2] + p[2]]; };
    const Point best = DescendAxes(sizes, loss);
    EXPECT_LE(loss(best), losses[0]);
    for (size_t axis = 0; axis < 3; ++axis)
      for (const ptrdiff_t step : {-1, 1}) {
        Point next = best;
        next[axis] = static_cast<size_t>(static_cast<ptrdiff_t>(best[axis]) + step);
        if (next[axis] >= sizes[axis]) continue;
        EXPECT_GE(loss(next), loss(best));
      }
  }
}

TEST(DescendAxes, OfEqualPointsTheFirstStays) {
  EXPECT_EQ(DescendAxes({3, 3}, [](const Point&) { return 1.0; }), (Point{0, 0}));
  EXPECT_EQ(DescendAxes({3}, [](const Point&) { return INFINITY; }), (Point{0}));
}

}  // namespace
}  // namespace ecld
