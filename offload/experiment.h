#pragma once
// Policies side by side over a scenario, and over values of one of its numbers: independent runs of each, the same
// seeds for all, so that a run of one policy has a twin of every other. Means with 95 % intervals by Student's t over
// the runs, and the mean difference of twins from the first policy, which is far surer than the difference of the
// means.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/intervals.h"
#include "core/json.h"
#include "offload/study.h"
#include "offload/world.h"

namespace ecld::offload {

struct ExperimentOptions {
  std::string scenario;                // file
  std::vector<std::string> overrides;  // "path=value"
  std::vector<std::string> policies;   // empty: those of the scenario
  bool first_policy = false;           // of those, the first alone
  std::string swept;                   // "users", "rate", "budget" or a path; empty: nothing
  std::vector<std::string> values;     // of it
  std::string catalogue;               // of devices; empty: that which ships
  size_t queue_samples = 0;            // of each policy's first run
  int threads = 0;
};

struct PolicyResult {
  std::string policy;
  std::vector<std::optional<MeanInterval>> metrics;     // as the study has them; nothing where a run does not know it
  std::vector<std::optional<MeanInterval>> less_first;  // twin by twin
  int64_t arrived = 0, completed = 0;                   // of all runs
  double outside_most = 0;                              // of a run
  std::vector<QueueSample> queues;
};

struct PointResult {
  std::string value;  // of what is swept
  std::vector<PolicyResult> policies;
};

struct ExperimentResult {
  Study study;        // of the first value
  std::string swept;  // the path
  std::vector<PointResult> points;
};

// THROWS Error: as ReadStudy and its runs do; values to sweep and nothing swept, or the reverse.
ExperimentResult RunExperiment(const ExperimentOptions& options);

Json ToJson(const ExperimentResult& result);

// The lines of a file of requests: its header, and one for each. World: whose tasks, devices and servers are named.
std::string RequestCsvHeader();
std::string RequestCsvLine(const World& world, const RequestRecord& record);

}  // namespace ecld::offload
