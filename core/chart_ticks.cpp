// Where the ticks of a chart's axis stand.

#include "core/svg_chart.h"

#include <algorithm>
#include <cmath>

namespace ecld {
namespace {

ChartTicks LinearTicks(double low, double high) {
  const double raw = (high - low) / 4, power = std::pow(10, std::floor(std::log10(raw)));
  double step = 10 * power;
  for (double factor : {5.0, 2.5, 2.0, 1.0})
    if (factor * power >= raw) step = factor * power;
  ChartTicks ticks{.low = std::floor(low / step + 1e-9) * step, .high = std::ceil(high / step - 1e-9) * step, .at = {}};
  for (int i = 0; ticks.low + i * step <= ticks.high + step / 2; ++i) ticks.at.push_back(ticks.low + i * step);
  return ticks;
}

ChartTicks LogTicks(double low, double high) {
  ChartTicks ticks{.low = low / 1.15, .high = high * 1.15, .at = {}};
  const double decades = std::log10(high / low);
  const int stride = std::max(1, static_cast<int>(std::ceil(decades / 6)));
  const auto first = static_cast<int>(std::floor(std::log10(ticks.low))),
             last = static_cast<int>(std::ceil(std::log10(ticks.high)));
  for (int power = first; power <= last; ++power) {
    if (power % stride != 0) continue;
    for (double factor : {1.0, 2.0, 5.0}) {
      const double tick = factor * std::pow(10, power);
      if ((factor == 1 || decades < 2.2) && tick >= ticks.low && tick <= ticks.high) ticks.at.push_back(tick);
    }
  }
  if (ticks.at.size() < 2) ticks.at = {low, high};
  return ticks;
}

}  // namespace

ChartTicks TicksOf(double low, double high, bool log, bool from_zero) {
  if (from_zero && !log) low = std::min(low, 0.0);
  if (high - low < 1e-9 * std::max(std::abs(low), std::abs(high)) || high == low) {
    const double reach = low == 0 ? 1 : std::abs(low) * 0.2;
    if (!log) low -= from_zero && low >= 0 ? 0 : reach;
    if (log) low /= 1.5;
    high = log ? high * 1.5 : high + reach;
  }
  return log ? LogTicks(low, high) : LinearTicks(low, high);
}

}  // namespace ecld
