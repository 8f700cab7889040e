#include "core/intervals.h"

#include <gtest/gtest.h>

#include <cmath>

namespace ecld {
namespace {

TEST(WilsonInterval, FollowsItsDefinition) {
  // The ends are where (share - p)^2 = z^2 p (1 - p) / n.
  for (const auto& [count, n] : {std::pair<int64_t, int64_t>{3, 10}, {50, 100}, {999, 1000}}) {
    const auto [low, high] = WilsonInterval(count, n);
    const double share = double(count) / double(n);
    EXPECT_LT(low, share);
    EXPECT_GT(high, share);
    for (double p : {low, high})
      EXPECT_NEAR((share - p) * (share - p), kNormal95 * kNormal95 * p * (1 - p) / double(n), 1e-12);
  }
  for (int64_t n = 1; n <= 1000; ++n) {  // to the last bit: the share lies in its interval
    EXPECT_EQ(WilsonInterval(0, n).first, 0) << n;
    EXPECT_EQ(WilsonInterval(n, n).second, 1) << n;
  }
  EXPECT_NEAR(WilsonInterval(0, 20).second, kNormal95 * kNormal95 / (20 + kNormal95 * kNormal95), 1e-12);
}

TEST(McNemarExact, IsTheTwoSidedBinomialTest) {
  EXPECT_EQ(McNemarExact(0, 0), 1);
  EXPECT_EQ(McNemarExact(4, 4), 1);
  EXPECT_NEAR(McNemarExact(0, 5), 2 * std::pow(0.5, 5), 1e-12);
  EXPECT_NEAR(McNemarExact(6, 1), 2 * (1 + 7) * std::pow(0.5, 7), 1e-12);
  EXPECT_EQ(McNemarExact(6, 1), McNemarExact(1, 6));
  EXPECT_NEAR(McNemarExact(400, 600), 2.7284641560660184e-10, 1e-18);
}

}  // namespace
}  // namespace ecld
