#include "offload/ledger.h"

#include <algorithm>

namespace ecld::offload {

Ledger::Ledger(const World& world, const RunOptions& options)
    : world_(world),
      warmup_(FromSeconds(world.scenario.warmup_s)),
      devices_(world.class_of.size()),
      samples_(options.samples),
      sample_count_(options.queue_samples) {
  run_.measured_s = world.scenario.horizon_s - world.scenario.warmup_s;
  if (sample_count_ > 0)
    sample_step_ =
        std::max<Nanoseconds>(1, FromSeconds(world.scenario.horizon_s) / static_cast<int64_t>(sample_count_));
}

void Ledger::Pass(Nanoseconds now) {
  under_way_ns_ += static_cast<Wide>(run_.arrived - run_.completed) * static_cast<Wide>(now - last_);
  last_ = now;
}

uint64_t Ledger::Arrived(Nanoseconds now) {
  Pass(now);
  return static_cast<uint64_t>(run_.arrived++);
}

void Ledger::Done(const RequestRecord& record) {
  Pass(record.done);
  ++run_.completed;
  const Nanoseconds latency = record.done - record.arrived;
  latencies_ns_ += static_cast<Wide>(latency);
  const auto& deadline_s = world_.scenario.limits.deadline_s;
  const bool in_time = !deadline_s || Seconds(latency) <= *deadline_s;
  const Limits& limits = world_.scenario.limits;
  if (limits.accuracy && record.right)
    accuracy_debt_ = std::max(0.0, accuracy_debt_ + *limits.accuracy - (*record.right && in_time ? 1 : 0));
  if (limits.hallucination && record.hallucinated)
    hallucination_debt_ = std::max(0.0, hallucination_debt_ + (*record.hallucinated ? 1 : 0) - *limits.hallucination);
  if (record.arrived < warmup_) return;
  ++run_.measured;
  run_.latency.Add(latency);
  run_.latency_sum_s += Seconds(latency);
  run_.in_time += in_time ? 1 : 0;
  run_.offloaded += record.place != kLocal ? 1 : 0;
  run_.probed_in_vain += record.probed && (record.place != kLocal || record.variant != 0) ? 1 : 0;
  run_.energy_known &= record.joules.has_value();
  run_.joules += record.joules.value_or(0);
  devices_[record.device].joules += record.joules.value_or(0);
  ++devices_[record.device].requests;
  Judge(record, in_time);
}

void Ledger::Judge(const RequestRecord& record, bool in_time) {
  if (record.right) {
    ++run_.judged_right;
    run_.right += *record.right ? 1 : 0;
    run_.right_in_time += *record.right && in_time ? 1 : 0;
  }
  if (record.hallucinated) {
    ++run_.judged_hallucinated;
    run_.hallucinated += *record.hallucinated ? 1 : 0;
  }
}

RunResult Ledger::Result() const {
  RunResult result = run_;
  for (size_t i = 0; i < devices_.size(); ++i) {
    if (devices_[i].requests == 0) continue;
    const double mean_J = devices_[i].joules / static_cast<double>(devices_[i].requests);
    result.most_device_joules = std::max(result.most_device_joules, mean_J);
    if (const auto& budget_J = world_.classes[world_.class_of[i]].spec.energy_budget_J; budget_J && result.energy_known)
      result.least_energy_slack_J =
          std::min(result.least_energy_slack_J.value_or(*budget_J - mean_J), *budget_J - mean_J);
  }
  result.under_way_s = static_cast<double>(under_way_ns_) / kNsPerSecond;
  result.all_latencies_s = static_cast<double>(latencies_ns_) / kNsPerSecond;
  result.littles_law = under_way_ns_ == latencies_ns_;
  return result;
}

}  // namespace ecld::offload
