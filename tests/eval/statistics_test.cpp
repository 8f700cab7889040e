#include "eval/statistics.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "core/random.h"
#include "tests/testing/near.h"

namespace ecld {
namespace {

// Windows of different lengths whose tokens share an effect of their window.
std::vector<ClusterSum> RandomClusters(int clusters, double shared, uint64_t seed) {
  Random random(seed);
  std::vector<ClusterSum> result;
  for (int c = 0; c < clusters; ++c) {
    ClusterSum cluster{.sum = 0, .count = static_cast<int64_t>(20 + random.Below(30))};
    double effect = shared * random.Normal();
    for (int64_t i = 0; i < cluster.count; ++i) cluster.sum += 3 + effect + random.Normal();
    result.push_back(cluster);
  }
  return result;
}

double BootstrapError(const std::vector<ClusterSum>& clusters, int resamples) {
  Random random(99);
  double sum = 0, squares = 0;
  for (int r = 0; r < resamples; ++r) {
    double total = 0;
    int64_t count = 0;
    for (size_t i = 0; i < clusters.size(); ++i) {
      const ClusterSum& drawn = clusters[random.Below(clusters.size())];
      total += drawn.sum;
      count += drawn.count;
    }
    double mean = total / static_cast<double>(count);
    sum += mean;
    squares += mean * mean;
  }
  return std::sqrt(squares / resamples - (sum / resamples) * (sum / resamples));
}

TEST(ClusteredMean, ErrorAgreesWithABootstrapOverClusters) {
  for (double shared : {0.0, 0.5, 2.0}) {
    std::vector<ClusterSum> clusters = RandomClusters(100, shared, 7);
    Mean mean = ClusteredMean(clusters);
    EXPECT_TRUE(Near(std::array{*mean.standard_error}, std::array{BootstrapError(clusters, 5000)}, Relative(0.05)));
  }
}

TEST(ClusteredMean, EqualClustersGiveTheErrorOfTheirMeans) {
  // Means 1, 2, 3, 6 of ten tokens each: mean 3, standard deviation sqrt(14 / 3), over sqrt(4).
  std::vector<ClusterSum> clusters = {{10, 10}, {20, 10}, {30, 10}, {60, 10}};
  Mean mean = ClusteredMean(clusters);
  EXPECT_EQ(mean.value, 3);
  EXPECT_EQ(mean.count, 40);
  EXPECT_EQ(mean.clusters, 4);
  EXPECT_TRUE(Near(std::array{*mean.standard_error}, std::array{std::sqrt(14.0 / 3) / 2}, Relative(1e-12)));
}

TEST(ClusteredMean, SharedEffectsAreNotTakenForEvidence) {
  // The same tokens counted twice in their clusters leave the error as it was.
  std::vector<ClusterSum> clusters = RandomClusters(50, 1, 3), doubled = clusters;
  for (ClusterSum& cluster : doubled) cluster = {2 * cluster.sum, 2 * cluster.count};
  EXPECT_TRUE(Near(std::array{*ClusteredMean(doubled).standard_error},
                   std::array{*ClusteredMean(clusters).standard_error}, Relative(1e-12)));
}

TEST(ClusteredMean, OneClusterHasNoError) {
  Mean mean = ClusteredMean({{30, 10}});
  EXPECT_EQ(mean.value, 3);
  EXPECT_FALSE(mean.standard_error);
}

TEST(ClusteredMean, ConstantValuesHaveErrorZero) {
  EXPECT_EQ(*ClusteredMean({{30, 10}, {60, 20}, {3, 1}}).standard_error, 0);
}

}  // namespace
}  // namespace ecld
