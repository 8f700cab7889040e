#pragma once
// Timing of one piece of work: warm-up runs that are not counted, repetitions that are, and order statistics over
// them. Every time in a profile or a result comes through here, so that all of them mean the same thing. Wall clock,
// std::chrono::steady_clock. It neither pins threads nor sets clock rates: noise_frac says what that cost.

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

namespace ecld {

inline constexpr std::string_view kTimer = "steady_clock";

struct Timing {
  double median_ms = 0;
  double p90_ms = 0;
  double p95_ms = 0;
  double min_ms = 0;
  double max_ms = 0;
  double std_ms = 0;      // sample standard deviation; 0 for one sample
  double noise_frac = 0;  // (third quartile - first quartile) / median
  int64_t n = 0;
};

struct MeasureOptions {
  int warmup = 1;
  int min_reps = 3;
  int max_reps = 30;
  double budget_ms = 500;  // no further repetition (beyond min_reps) starts once this much time was measured
};

// The value below which fraction q in [0, 1] of the samples lies, linear between order statistics (type 7 of
// Hyndman and Fan 1996, what numpy does). REQUIRES: samples not empty.
double Quantile(std::vector<double> samples, double q);

// REQUIRES: samples not empty, in milliseconds.
Timing Summarize(const std::vector<double>& samples_ms);

// prepare, if given, runs before each run of work and is not timed.
Timing Measure(const std::function<void()>& work, const MeasureOptions& options = {},
               const std::function<void()>& prepare = {});

}  // namespace ecld
