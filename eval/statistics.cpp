#include "eval/statistics.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numeric>

namespace ecld {
namespace {

// Ranks around their mean, ties at their mean rank.
std::vector<double> CentredRanks(std::span<const double> values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::sort(order, {}, [&](size_t i) { return values[i]; });
  std::vector<double> ranks(values.size());
  for (size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    while (end < order.size() && values[order[end]] == values[order[begin]]) ++end;
    for (size_t i = begin; i < end; ++i)
      ranks[order[i]] = (static_cast<double>(begin + end) - static_cast<double>(order.size())) / 2;
  }
  return ranks;
}

}  // namespace

Mean ClusteredMean(const std::vector<ClusterSum>& clusters) {
  Mean mean;
  double sum = 0;
  for (const ClusterSum& cluster : clusters) {
    sum += cluster.sum;
    mean.count += cluster.count;
    mean.clusters += cluster.count > 0;
  }
  assert(mean.count > 0);
  double count = static_cast<double>(mean.count);
  mean.value = sum / count;
  if (mean.clusters < 2) return mean;

  double squares = 0;
  for (const ClusterSum& cluster : clusters) {
    double residual = cluster.sum - mean.value * static_cast<double>(cluster.count);
    squares += residual * residual;
  }
  double clusters_count = static_cast<double>(mean.clusters);
  mean.standard_error = std::sqrt(clusters_count / (clusters_count - 1) * squares) / count;
  return mean;
}

std::optional<double> RankCorrelation(std::span<const double> x, std::span<const double> y) {
  assert(x.size() == y.size());
  const std::vector<double> a = CentredRanks(x), b = CentredRanks(y);
  const auto product = [](const std::vector<double>& left, const std::vector<double>& right) {
    return std::inner_product(left.begin(), left.end(), right.begin(), 0.0);
  };
  const double squares = product(a, a) * product(b, b);
  return squares == 0 ? std::nullopt : std::optional(product(a, b) / std::sqrt(squares));
}

}  // namespace ecld
