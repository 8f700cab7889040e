#include "eval/statistics.h"

#include <cassert>
#include <cmath>

namespace ecld {

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

}  // namespace ecld
