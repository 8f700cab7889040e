#include "measure/measure.h"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cmath>

namespace ecld {

double Quantile(std::vector<double> samples, double q) {
  assert(!samples.empty() && q >= 0 && q <= 1);
  std::sort(samples.begin(), samples.end());
  double place = q * static_cast<double>(samples.size() - 1);
  size_t below = static_cast<size_t>(place);
  size_t above = std::min(below + 1, samples.size() - 1);
  return samples[below] + (place - static_cast<double>(below)) * (samples[above] - samples[below]);
}

Timing Summarize(const std::vector<double>& samples_ms) {
  assert(!samples_ms.empty());
  Timing timing{.median_ms = Quantile(samples_ms, 0.5),
                .p90_ms = Quantile(samples_ms, 0.9),
                .p95_ms = Quantile(samples_ms, 0.95),
                .min_ms = Quantile(samples_ms, 0),
                .max_ms = Quantile(samples_ms, 1),
                .n = static_cast<int64_t>(samples_ms.size())};
  double count = static_cast<double>(samples_ms.size()), sum = 0, squares = 0;
  for (double sample : samples_ms) sum += sample;
  for (double sample : samples_ms) squares += (sample - sum / count) * (sample - sum / count);
  if (samples_ms.size() > 1) timing.std_ms = std::sqrt(squares / (count - 1));
  if (timing.median_ms > 0)
    timing.noise_frac = (Quantile(samples_ms, 0.75) - Quantile(samples_ms, 0.25)) / timing.median_ms;
  return timing;
}

Timing Measure(const std::function<void()>& work, const MeasureOptions& options, const std::function<void()>& prepare) {
  using Clock = std::chrono::steady_clock;
  auto run_ms = [&] {
    if (prepare) prepare();
    Clock::time_point start = Clock::now();
    work();
    return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  };
  for (int i = 0; i < options.warmup; ++i) run_ms();
  std::vector<double> samples_ms;
  double total_ms = 0;
  for (int i = 0; i < options.max_reps && (i < options.min_reps || total_ms < options.budget_ms); ++i) {
    samples_ms.push_back(run_ms());
    total_ms += samples_ms.back();
  }
  return Summarize(samples_ms);
}

}  // namespace ecld
