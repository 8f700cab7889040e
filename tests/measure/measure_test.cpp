#include "measure/measure.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "tests/testing/near.h"

namespace ecld {
namespace {

TEST(Quantile, IsLinearBetweenOrderStatistics) {
  const std::vector<double> samples = {40, 10, 30, 20};
  const std::array found = {Quantile(samples, 0), Quantile(samples, 0.5), Quantile(samples, 0.9), Quantile(samples, 1)};
  EXPECT_TRUE(Near(found, std::array{10.0, 25.0, 37.0, 40.0}, {.max_abs = 1e-12}));
  EXPECT_EQ(Quantile({7}, 0.95), 7);
}

TEST(Summarize, GivesTheStatisticsOfTheSamples) {
  std::vector<double> samples;
  for (int i = 100; i >= 0; --i) samples.push_back(i);
  Timing timing = Summarize(samples);
  const std::array found = {timing.median_ms, timing.p90_ms, timing.p95_ms,    timing.min_ms,
                            timing.max_ms,    timing.std_ms, timing.noise_frac};
  // The variance of 0..100 is 100 * 102 / 12 with the n - 1 correction.
  const std::array expected = {50.0, 90.0, 95.0, 0.0, 100.0, std::sqrt(101 * 102 / 12.0), 1.0};
  EXPECT_TRUE(Near(found, expected, {.max_abs = 1e-9}));
  EXPECT_EQ(timing.n, 101);
}

TEST(Summarize, EqualSamplesHaveNoNoiseAndOneSampleIsEnough) {
  EXPECT_EQ(Summarize({3, 3, 3}).noise_frac, 0);
  Timing one = Summarize({3});
  EXPECT_EQ(one.median_ms, 3);
  EXPECT_EQ(one.std_ms, 0);
  EXPECT_EQ(one.n, 1);
}

TEST(Summarize, OneSlowRunMovesTheMaximumNotTheMedian) {
  Timing timing = Summarize({10, 10, 10, 10, 1000});
  EXPECT_EQ(timing.median_ms, 10);
  EXPECT_EQ(timing.max_ms, 1000);
}

TEST(Measure, CountsWarmUpApart) {
  int runs = 0;
  Timing timing = Measure([&] { ++runs; }, {.warmup = 2, .min_reps = 5, .max_reps = 5});
  EXPECT_EQ(runs, 7);
  EXPECT_EQ(timing.n, 5);
  EXPECT_GE(timing.min_ms, 0);
  EXPECT_LE(timing.median_ms, timing.max_ms);
}

TEST(Measure, AnEmptyBudgetStillRunsTheMinimum) {
  int runs = 0;
  Measure([&] { ++runs; }, {.warmup = 0, .min_reps = 3, .max_reps = 100, .budget_ms = 0});
  EXPECT_EQ(runs, 3);
}

}  // namespace
}  // namespace ecld
