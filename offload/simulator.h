#pragma once
// Discrete events over a world: requests come, a policy places them, devices, bands and servers take their time. One
// seed, one course: the same on every machine. Downloads do not share their rate, and servers' energy is not counted;
// all else is in stations.h.

#include <functional>
#include <vector>

#include "offload/metrics.h"
#include "offload/world.h"

namespace ecld::offload {

struct RunOptions {
  uint64_t seed = 1;
  std::function<void(const RequestRecord&)> on_request;  // each that is done, as it is done
  size_t queue_samples = 0;
  std::vector<QueueSample>* samples = nullptr;  // that many, over the horizon
};

// THROWS Error: PolicyFor; a time that nothing tells; more look-ups outside the measured grids than the scenario's
// outside_share; a policy's own.
RunResult Simulate(const World& world, std::string_view policy, const RunOptions& options);

// Of RunMetrics(), by the world's limits; nothing where the run does not know it.
std::vector<std::optional<double>> MetricValues(const World& world, const RunResult& run);

}  // namespace ecld::offload
