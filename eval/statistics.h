#pragma once
// Mean of a per-token quantity with a standard error that admits that the tokens of one window are not independent:
// the windows are the clusters. Tokens of a text are, in truth, correlated beyond a window too; the error is a lower
// bound in that sense.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace ecld {

struct ClusterSum {
  double sum = 0;     // of the quantity over the tokens of one window
  int64_t count = 0;  // those tokens
};

struct Mean {
  double value = 0;
  std::optional<double> standard_error;  // absent with fewer than two clusters
  int64_t count = 0;
  int64_t clusters = 0;
};

// mean = S / N of all tokens; variance of this ratio by linearisation (Cochran, Sampling Techniques, eq. 6.13 with
// the finite-population factor left out): C / (C - 1) * sum_c (s_c - mean * n_c)^2 / N^2. REQUIRES: some count > 0.
Mean ClusteredMean(const std::vector<ClusterSum>& clusters);

// Spearman's rank correlation, ties at their mean rank; absent when either is constant. REQUIRES: equal sizes.
std::optional<double> RankCorrelation(std::span<const double> x, std::span<const double> y);

}  // namespace ecld
