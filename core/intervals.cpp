#include "core/intervals.h"

#include <algorithm>
#include <cmath>

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

}  // namespace ecld
