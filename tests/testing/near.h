#pragma once
// The only numeric comparison of the tests: the largest and the mean absolute difference of two arrays, both bounded.
//
//   EXPECT_TRUE(Near(actual, expected, {.max_abs = 1e-3, .mean_abs = 1e-4}));
//   EXPECT_TRUE(Near(actual, expected, Relative(1e-6)));
//
// NaN on either side fails, other sizes fail, and comparing nothing with nothing fails: an empty result is a bug of
// the test. Infinities fail too, even equal ones.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <ranges>

namespace ecld {

// Bounds are exclusive: a difference of exactly the bound fails, and 0 can never pass; for equality say Exact().
struct Tolerance {
  double max_abs = 0;
  double mean_abs = std::numeric_limits<double>::infinity();
  // When set, both differences are divided by the largest |expected| first. An all-zero expectation is refused.
  bool relative = false;
};

inline Tolerance Relative(double max_rel, double mean_rel = std::numeric_limits<double>::infinity()) {
  return {.max_abs = max_rel, .mean_abs = mean_rel, .relative = true};
}

// Passes only where every difference is zero.
inline Tolerance Exact() { return {.max_abs = std::numeric_limits<double>::denorm_min()}; }

// actual, expected: arrays of any arithmetic type, same length.
template <std::ranges::random_access_range Actual, std::ranges::random_access_range Expected>
testing::AssertionResult Near(const Actual& actual, const Expected& expected, const Tolerance& tolerance) {
  const size_t size = std::ranges::size(expected);
  if (std::ranges::size(actual) != size) {
    return testing::AssertionFailure() << "sizes differ: " << std::ranges::size(actual) << " and " << size;
  }
  if (size == 0) return testing::AssertionFailure() << "nothing to compare: both are empty";

  double largest = 0, sum = 0, scale = 0;
  size_t worst = 0;
  for (size_t i = 0; i < size; ++i) {
    const double difference = std::abs(static_cast<double>(actual[i]) - static_cast<double>(expected[i]));
    if (std::isnan(difference) || difference > largest) {
      largest = difference;
      worst = i;
    }
    if (std::isnan(difference)) break;
    sum += difference;
    scale = std::max(scale, std::abs(static_cast<double>(expected[i])));
  }
  double mean = sum / static_cast<double>(size);
  const char* kind = "absolute";
  if (tolerance.relative && !std::isnan(largest)) {
    if (scale == 0) return testing::AssertionFailure() << "a relative comparison with zeros only";
    largest /= scale;
    mean /= scale;
    kind = "relative";
  }
  // Written so that NaN fails.
  if (!(largest < tolerance.max_abs) || !(mean < tolerance.mean_abs)) {
    return testing::AssertionFailure() << "largest " << kind << " difference " << largest << " (bound "
                                       << tolerance.max_abs << ") at [" << worst
                                       << "]: " << static_cast<double>(actual[worst]) << " and "
                                       << static_cast<double>(expected[worst]) << "; mean " << mean << " (bound "
                                       << tolerance.mean_abs << ") of " << size;
  }
  return testing::AssertionSuccess();
}

}  // namespace ecld
