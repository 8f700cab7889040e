#pragma once
// Intervals and tests: of shares of a whole, of two models on the same items, of the mean of independent runs.

#include <cstdint>
#include <span>
#include <utility>

namespace ecld {

inline constexpr double kNormal95 = 1.959963984540054;  // two-sided 95 % of the normal distribution

// Wilson's 95 % interval for `count` of `n`. REQUIRES: 0 <= count <= n, n > 0.
std::pair<double, double> WilsonInterval(int64_t count, int64_t n);

// McNemar's exact test: two-sided p of `only_first` against `only_second`, items of which just one model was right,
// under Binomial(only_first + only_second, 1/2). 1 when there are none.
double McNemarExact(int64_t only_first, int64_t only_second);

// Student's two-sided 95 % quantile. REQUIRES: degrees of 1 or more. Off by less than 1e-4, relative.
double Student95(int64_t degrees);

struct MeanInterval {
  double mean = 0, low = 0, high = 0;
};
// The mean of independent values and its 95 % interval by Student's t; of one value the interval is (-inf, inf).
// REQUIRES: at least one.
MeanInterval StudentInterval(std::span<const double> values);

}  // namespace ecld
