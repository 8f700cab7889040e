#include "prune/ratios.h"

#include <algorithm>

namespace ecld {
namespace {

constexpr double kLeastFactor = 0.1;  // of the median

}  // namespace

std::vector<size_t> LeastCosts(const LevelCosts& costs, size_t total) {
  // least[i][sum]: of the blocks from i on, whose levels add up to sum.
  LevelCosts least(costs.size() + 1, std::vector<double>(total + 1, kNoLevel));
  least.back()[0] = 0;
  for (size_t i = costs.size(); i-- > 0;)
    for (size_t sum = 0; sum <= total; ++sum)
      for (size_t level = 0; level < costs[i].size() && level <= sum; ++level)
        least[i][sum] = std::min(least[i][sum], costs[i][level] + least[i + 1][sum - level]);
  std::vector<size_t> chosen;
  for (size_t i = 0; i < costs.size(); ++i) {
    size_t level = 0;
    while (costs[i][level] + least[i + 1][total - level] != least[i][total]) ++level;
    chosen.push_back(level);
    total -= level;
  }
  return chosen;
}

LevelCosts Corrected(const LevelCosts& predicted, const std::vector<size_t>& levels,
                     const std::vector<std::optional<double>>& rises, size_t stride, size_t radius) {
  std::vector<std::optional<double>> factors(predicted.size());
  std::vector<double> known;
  for (size_t i = 0; i < predicted.size(); ++i) {
    if (!rises[i]) continue;
    const double expected = predicted[i][levels[i] - stride] - predicted[i][levels[i]];
    if (expected > 0) known.push_back(*(factors[i] = std::max(0.0, *rises[i] / expected)));
  }
  double median = 0;
  if (!known.empty()) {
    const auto middle = known.begin() + std::ssize(known) / 2;
    std::ranges::nth_element(known, middle);
    median = *middle;
  }
  if (median <= 0) median = 1;
  LevelCosts costs = predicted;
  for (size_t i = 0; i < costs.size(); ++i)
    for (size_t level = 0; level < costs[i].size(); ++level) {
      const size_t moved = level > levels[i] ? level - levels[i] : levels[i] - level;
      costs[i][level] *= std::max(kLeastFactor * median, factors[i].value_or(median));
      if (moved > radius) costs[i][level] = kNoLevel;
    }
  return costs;
}

}  // namespace ecld
