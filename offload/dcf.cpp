#include "offload/dcf.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace ecld::offload {
namespace {

// Bianchi's eq. 7 as a sum, which has no hole at p = 1/2.
double ChanceToSend(double p, const DcfWindow& window) {
  double sum = 0, power = 1;
  for (int64_t i = 0; i < window.doublings; ++i, power *= 2 * p) sum += power;
  return 2 / (1 + window.least + p * window.least * sum);
}

}  // namespace

DcfPoint SolveDcf(int64_t stations, const DcfWindow& window, const DcfTiming& timing) {
  assert(stations >= 1 && window.least >= 1);
  const auto n = static_cast<double>(stations);
  // 1 - (1 - tau(p))^(n-1) falls in p, so that it meets p once.
  double low = 0, high = 1;
  for (int i = 0; i < 60; ++i) {
    const double p = (low + high) / 2;
    (1 - std::pow(1 - ChanceToSend(p, window), n - 1) > p ? low : high) = p;
  }
  DcfPoint point{.p = stations == 1 ? 0 : (low + high) / 2};
  point.tau = ChanceToSend(point.p, window);
  const double idle = std::pow(1 - point.tau, n), one = n * point.tau * std::pow(1 - point.tau, n - 1);
  const double slot_s = idle * timing.slot + one * timing.success + (1 - idle - one) * timing.collision;
  point.throughput = one * timing.payload / slot_s;
  point.access_s = n * slot_s / one;
  return point;
}

const DcfPoint& Contention::Among(double stations) const {
  const auto n = std::clamp<int64_t>(std::llround(std::min(stations, 1e9)), 1, kMostStations);
  if (points_.size() < static_cast<size_t>(n)) points_.resize(static_cast<size_t>(n));
  DcfPoint& point = points_[static_cast<size_t>(n - 1)];
  if (point.tau == 0) point = SolveDcf(n, window_, timing_);
  return point;
}

}  // namespace ecld::offload
