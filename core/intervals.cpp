#include "core/intervals.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace ecld {

std::pair<double, double> WilsonInterval(int64_t count, int64_t n) {
  const double size = static_cast<double>(n), share = static_cast<double>(count) / size;
  const double z2 = kNormal95 * kNormal95, scale = 1 + z2 / size;
  const double middle = (share + z2 / (2 * size)) / scale;
  const double reach = kNormal95 / scale * std::sqrt(share * (1 - share) / size + z2 / (4 * size * size));
  // At the ends one bound is the share itself, whatever rounding says.
  return {count == 0 ? 0.0 : middle - reach, count == n ? 1.0 : middle + reach};
}

double McNemarExact(int64_t only_first, int64_t only_second) {
  const int64_t n = only_first + only_second, fewer = std::min(only_first, only_second);
  const double size = static_cast<double>(n);
  double tail = 0;
  for (int64_t k = 0; k <= fewer; ++k) {
    const auto x = static_cast<double>(k);
    tail += std::exp(std::lgamma(size + 1) - std::lgamma(x + 1) - std::lgamma(size - x + 1) - size * std::log(2.0));
  }
  return std::min(1.0, 2 * tail);
}

double Student95(int64_t degrees) {
  if (degrees == 1) return std::tan(std::numbers::pi * 0.475);
  if (degrees == 2) return 0.95 / std::sqrt(2 * 0.975 * 0.025);
  constexpr double kFew[] = {3.182446, 2.776445, 2.570582, 2.446912, 2.364624, 2.306004, 2.262157};  // of 3 to 9
  if (degrees < 10) return kFew[degrees - 3];
  // Cornish and Fisher's expansion about the normal quantile (Abramowitz and Stegun 26.7.5).
  const double z = kNormal95, z2 = z * z, n = static_cast<double>(degrees);
  const double first = (z2 + 1) / 4, second = ((5 * z2 + 16) * z2 + 3) / 96;
  const double third = (((3 * z2 + 19) * z2 + 17) * z2 - 15) / 384;
  return z * (1 + (first + (second + third / n) / n) / n);
}

MeanInterval StudentInterval(std::span<const double> values) {
  const auto n = static_cast<double>(values.size());
  MeanInterval result;
  for (const double value : values) result.mean += value / n;
  if (values.size() < 2) {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    return {.mean = result.mean, .low = -kInfinity, .high = kInfinity};
  }
  double squares = 0;
  for (const double value : values) squares += (value - result.mean) * (value - result.mean);
  const double reach = Student95(static_cast<int64_t>(values.size()) - 1) * std::sqrt(squares / (n - 1) / n);
  return {.mean = result.mean, .low = result.mean - reach, .high = result.mean + reach};
}

}  // namespace ecld
