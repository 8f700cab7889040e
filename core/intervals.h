#pragma once
// Intervals and tests for counts: shares of a whole, and two models on the same items.

#include <cstdint>
#include <utility>

namespace ecld {

inline constexpr double kNormal95 = 1.959963984540054;  // two-sided 95 % of the normal distribution

// Wilson's 95 % interval for `count` of `n`. REQUIRES: 0 <= count <= n, n > 0.
std::pair<double, double> WilsonInterval(int64_t count, int64_t n);

// McNemar's exact test: two-sided p of `only_first` against `only_second`, items of which just one model was right,
// under Binomial(only_first + only_second, 1/2). 1 when there are none.
double McNemarExact(int64_t only_first, int64_t only_second);

}  // namespace ecld
