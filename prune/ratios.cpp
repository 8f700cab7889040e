#include "prune/ratios.h"

#include <algorithm>

namespace ecld {
namespace {

constexpr double kLeastFactor = 0.1;  // of the median

double MedianOf(std::vector<double> values) {
  if (values.empty()) return 1;
  const auto middle = values.begin() + std::ssize(values) / 2;
  std::ranges::nth_element(values, middle);
  return *middle > 0 ? *middle : 1;
}

// By block.
std::vector<double> Factors(const LevelCosts& predicted, const std::vector<size_t>& levels,
                            const std::vector<std::optional<double>>& rises, size_t stride) {
  std::vector<std::optional<double>> measured(predicted.size());
  std::vector<double> known;
  for (size_t i = 0; i < predicted.size(); ++i) {
    if (!rises[i]) continue;
    const double expected = predicted[i][levels[i] - stride] - predicted[i][levels[i]];
    if (expected > 0) known.push_back(*(measured[i] = std::max(0.0, *rises[i] / expected)));
  }
  const double median = MedianOf(std::move(known));
  std::vector<double> factors;
  for (size_t i = 0; i < measured.size(); ++i) {
    double sum = 0, weights = 0;
    for (size_t j = i > 0 ? i - 1 : 0; j < std::min(i + 2, measured.size()); ++j) {
      if (!measured[j]) continue;
      const double weight = j == i ? 2 : 1;
      sum += weight * *measured[j];
      weights += weight;
    }
    factors.push_back(std::max(kLeastFactor * median, weights > 0 ? sum / weights : median));
  }
  return factors;
}

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
  const std::vector<double> factors = Factors(predicted, levels, rises, stride);
  LevelCosts costs = predicted;
  for (size_t i = 0; i < costs.size(); ++i)
    for (size_t level = 0; level < costs[i].size(); ++level) {
      const size_t moved = level > levels[i] ? level - levels[i] : levels[i] - level;
      costs[i][level] *= factors[i];
      if (moved > radius) costs[i][level] = kNoLevel;
    }
  return costs;
}

}  // namespace ecld
