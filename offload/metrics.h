#pragma once
// What a run came to, in memory that does not grow with its length: counts, means, quantiles of the latency, and how
// much of each limit is left. The metrics are one table, which results, intervals and pages walk.

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "offload/decide.h"
#include "offload/event_queue.h"

namespace ecld::offload {

// Counts of durations in bins whose ends are 1/256 apart, relative: a quantile is off by at most half of that.
class DurationHistogram {
 public:
  void Add(Nanoseconds ns);
  int64_t count() const { return count_; }
  // Seconds below which this share lies. REQUIRES: count is not 0, 0 <= share <= 1.
  double Quantile(double share) const;

 private:
  static constexpr int kBits = 8;
  std::array<int64_t, (64 - kBits) << kBits> bins_{};
  int64_t count_ = 0;
};

// One request that is done, as the lines of `--requests` have it.
struct RequestRecord {
  uint64_t number = 0;
  size_t device = 0, item = 0;
  bool has_item = false;
  int place = kLocal, variant = 0;
  bool probed = false;
  Nanoseconds arrived = 0, done = 0;
  int64_t prompt_tok = 0, answer_tok = 0;
  std::optional<double> joules, uncertainty;
  std::optional<bool> right, hallucinated;
};

struct RunResult {
  int64_t arrived = 0, completed = 0;  // of the whole run, warm-up included
  int64_t measured = 0;                // that came after the warm-up; what follows is of these
  DurationHistogram latency;
  double latency_sum_s = 0;
  int64_t in_time = 0, offloaded = 0, probed_in_vain = 0;
  int64_t judged_right = 0, right_in_time = 0, right = 0, judged_hallucinated = 0, hallucinated = 0;
  bool energy_known = true;
  double joules = 0, most_device_joules = 0;   // the latter: a request's, in the mean of the device that takes most
  std::optional<double> least_energy_slack_J;  // of a device's budget less its mean
  double server_use = 0, air_use = 0;          // shares of the time, in the mean of the servers
  double outside = 0;                          // share of the look-ups
  double measured_s = 0;                       // from the end of the warm-up to the horizon
  // Little's law, to the nanosecond: the integral of the requests under way, and the sum of their latencies.
  double under_way_s = 0, all_latencies_s = 0;
  bool littles_law = false;
  uint64_t events = 0;
};

struct LimitValues {
  std::optional<double> accuracy, hallucination, deadline_s;
};

struct RunMetric {
  std::string_view name, unit;
  bool higher_is_better;
  std::optional<double> (*of)(const RunResult& run, const LimitValues& limits);  // nothing: not known
};
std::span<const RunMetric> RunMetrics();

// What lies where, at even times, for a picture of the queues.
struct QueueSample {
  double at_s = 0;
  int64_t on_devices = 0, sending = 0, on_servers = 0;
};

}  // namespace ecld::offload
