#include "tests/testing/near.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace ecld {
namespace {

using testing::HasSubstr;
using Floats = std::vector<float>;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

TEST(Near, PassesWithinBothBounds) {
  EXPECT_TRUE(Near(Floats{1, 2, 3}, Floats{1, 2, 3.0625f}, {.max_abs = 0.07, .mean_abs = 0.03}));
  EXPECT_TRUE(Near(Floats{5}, Floats{5}, Exact()));
}

TEST(Near, TheBoundItselfFails) {
  EXPECT_FALSE(Near(Floats{0}, Floats{0.5f}, {.max_abs = 0.5}));
  EXPECT_TRUE(Near(Floats{0}, Floats{0.5f}, {.max_abs = 0.5001}));
  EXPECT_FALSE(Near(Floats{1}, Floats{1}, Tolerance{})) << "a forgotten bound must not pass";
}

TEST(Near, MaxAndMeanAreBoundedSeparately) {
  Floats expected(100, 0.f), spike = expected, drift(100, 0.01f);
  spike[7] = 1;
  EXPECT_FALSE(Near(spike, expected, {.max_abs = 0.5, .mean_abs = 1}));
  EXPECT_FALSE(Near(drift, expected, {.max_abs = 0.5, .mean_abs = 0.005}));
}

TEST(Near, NaNFailsOnEitherSideAtAnyPlace) {
  for (size_t at = 0; at < 3; ++at) {
    Floats good{1, 2, 3}, bad = good;
    bad[at] = kNaN;
    const Tolerance loose{.max_abs = 1e30};
    EXPECT_FALSE(Near(bad, good, loose));
    EXPECT_FALSE(Near(good, bad, loose));
    EXPECT_FALSE(Near(bad, bad, loose));
    EXPECT_FALSE(Near(bad, good, Relative(1e30)));
  }
}

TEST(Near, InfinityFails) {
  EXPECT_FALSE(Near(Floats{kInf}, Floats{kInf}, {.max_abs = 1e30}));
  EXPECT_FALSE(Near(Floats{kInf}, Floats{0}, {.max_abs = 1e30}));
  EXPECT_FALSE(Near(Floats{1}, Floats{kInf}, Relative(10)));
}

TEST(Near, SizesMustMatchAndEmptyIsRefused) {
  EXPECT_FALSE(Near(Floats{1, 2}, Floats{1, 2, 3}, {.max_abs = 10}));
  EXPECT_FALSE(Near(Floats{}, Floats{}, {.max_abs = 10}));
}

TEST(Near, RelativeDividesByTheLargestExpectation) {
  EXPECT_TRUE(Near(Floats{100, 1}, Floats{101, 1}, Relative(0.011)));
  EXPECT_FALSE(Near(Floats{100, 1}, Floats{101, 1}, Relative(0.009)));
  EXPECT_FALSE(Near(Floats{0, 0}, Floats{0, 0}, Relative(0.5)));
}

TEST(Near, OtherTypesCompareByValue) {
  EXPECT_TRUE(Near(std::array<uint8_t, 2>{0, 255}, std::vector<int>{0, 255}, Exact()));
  EXPECT_FALSE(Near(std::array<uint8_t, 1>{0}, std::vector<int>{1}, Exact()));
}

TEST(Near, TheMessageNamesTheWorstPlace) {
  Floats expected{1, 2, 3}, actual{1, 2.5f, 3.25f};
  const std::string message = Near(actual, expected, {.max_abs = 0.1}).message();
  EXPECT_THAT(message, HasSubstr("0.5"));
  EXPECT_THAT(message, HasSubstr("at [1]: 2.5 and 2"));
}

}  // namespace
}  // namespace ecld
