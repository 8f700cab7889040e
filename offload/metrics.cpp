#include "offload/metrics.h"

#include <bit>
#include <cassert>
#include <cmath>

namespace ecld::offload {
namespace {

using Optional = std::optional<double>;

Optional Share(int64_t part, int64_t whole) {
  return whole > 0 ? Optional(static_cast<double>(part) / static_cast<double>(whole)) : std::nullopt;
}

Optional LatencyAt(const RunResult& run, double share) {
  return run.measured > 0 ? Optional(run.latency.Quantile(share)) : std::nullopt;
}

Optional PerRequest(const RunResult& run, double sum) {
  return run.measured > 0 ? Optional(sum / static_cast<double>(run.measured)) : std::nullopt;
}

Optional Hallucination(const RunResult& run) { return Share(run.hallucinated, run.judged_hallucinated); }
Optional EffectiveAccuracy(const RunResult& run) { return Share(run.right_in_time, run.judged_right); }

Optional Difference(Optional a, Optional b) { return a && b ? Optional(*a - *b) : std::nullopt; }

// A deadline is kept where this share of the requests keeps it.
constexpr double kDeadlineShare = 0.95;

using Run = const RunResult&;
using Limits = const LimitValues&;

constexpr RunMetric kMetrics[] = {
    {"latency_mean", "s", false, [](Run run, Limits) { return PerRequest(run, run.latency_sum_s); }},
    {"latency_p50", "s", false, [](Run run, Limits) { return LatencyAt(run, 0.50); }},
    {"latency_p95", "s", false, [](Run run, Limits) { return LatencyAt(run, 0.95); }},
    {"latency_p99", "s", false, [](Run run, Limits) { return LatencyAt(run, 0.99); }},
    {"energy", "J/request", false,
     [](Run run, Limits) { return run.energy_known ? PerRequest(run, run.joules) : std::nullopt; }},
    {"energy_most", "J/request", false,
     [](Run run, Limits) { return run.energy_known ? Optional(run.most_device_joules) : std::nullopt; }},
    {"effective_accuracy", "1", true, [](Run run, Limits) { return EffectiveAccuracy(run); }},
    {"accuracy", "1", true, [](Run run, Limits) { return Share(run.right, run.judged_right); }},
    {"hallucination", "1", false, [](Run run, Limits) { return Hallucination(run); }},
    {"offloaded", "1", false, [](Run run, Limits) { return Share(run.offloaded, run.measured); }},
    {"probed_in_vain", "1", false, [](Run run, Limits) { return Share(run.probed_in_vain, run.measured); }},
    {"in_time", "1", true, [](Run run, Limits) { return Share(run.in_time, run.measured); }},
    {"server_use", "1", false, [](Run run, Limits) { return Optional(run.server_use); }},
    {"air_use", "1", false, [](Run run, Limits) { return Optional(run.air_use); }},
    {"slack_energy", "J/request", true, [](Run run, Limits) { return run.least_energy_slack_J; }},
    {"slack_accuracy", "1", true,
     [](Run run, Limits limits) { return Difference(EffectiveAccuracy(run), limits.accuracy); }},
    {"slack_hallucination", "1", true,
     [](Run run, Limits limits) { return Difference(limits.hallucination, Hallucination(run)); }},
    {"slack_deadline", "s", true,
     [](Run run, Limits limits) { return Difference(limits.deadline_s, LatencyAt(run, kDeadlineShare)); }},
    {"requests_per_s", "1/s", true,
     [](Run run, Limits) { return Optional(static_cast<double>(run.measured) / run.measured_s); }},
};

}  // namespace

std::span<const RunMetric> RunMetrics() { return kMetrics; }

void DurationHistogram::Add(Nanoseconds ns) {
  assert(ns >= 0);
  // Below 2^(kBits + 1) one bin for each nanosecond; above, kBits bits after the leading one.
  const auto value = static_cast<uint64_t>(ns);
  const int shift = std::max(0, static_cast<int>(std::bit_width(value)) - kBits - 1);
  ++bins_[(static_cast<size_t>(shift) << kBits) + (value >> shift)];
  ++count_;
}

double DurationHistogram::Quantile(double share) const {
  assert(count_ > 0);
  const auto rank = std::max<int64_t>(1, static_cast<int64_t>(std::ceil(share * static_cast<double>(count_))));
  int64_t below = 0;
  size_t bin = 0;
  while ((below += bins_[bin]) < rank) ++bin;
  const size_t shift = bin < (size_t{2} << kBits) ? 0 : (bin >> kBits) - 1;
  const auto low = static_cast<double>((bin - (shift << kBits)) << shift);
  return (low + (shift == 0 ? 0 : std::ldexp(0.5, static_cast<int>(shift)))) / kNsPerSecond;
}

}  // namespace ecld::offload
