#include "core/intervals.h"

#include <gtest/gtest.h>

#include <cmath>
#include <utility>
#include <vector>

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

TEST(Student95, IsThatOfTheTables) {
  const std::pair<int64_t, double> tabled[] = {{1, 12.706205}, {2, 4.302653},  {3, 3.182446},
                                               {5, 2.570582},  {9, 2.262157},  {10, 2.228139},
                                               {19, 2.093024}, {30, 2.042272}, {120, 1.979930}};
  for (const auto& [degrees, expected] : tabled) EXPECT_NEAR(Student95(degrees), expected, 1e-4 * expected) << degrees;
  const MeanInterval of_three = StudentInterval(std::vector<double>{1, 2, 3});
  EXPECT_DOUBLE_EQ(of_three.mean, 2);
  EXPECT_NEAR(of_three.high - 2, 4.302653 / std::sqrt(3), 1e-5);
  EXPECT_DOUBLE_EQ(of_three.mean - of_three.low, of_three.high - of_three.mean);
  EXPECT_TRUE(std::isinf(StudentInterval(std::vector<double>{7}).high));
}

}  // namespace
}  // namespace ecld
