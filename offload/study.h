#pragma once
// What an experiment runs, whatever its scenario asks: policies, the run of one of them, and the metrics of a run. The
// field `question` of a scenario says which row of one table reads it; what all have in common is read here. YAML of
// version 1; an unknown key, a value out of range or a newer version is an Error with file, line and path.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "core/options.h"
#include "offload/metrics.h"

namespace ecld::offload {

struct MetricInfo {
  std::string_view name, unit;
  bool higher_is_better;
};

struct OneRun {
  std::vector<std::optional<double>> values;  // of the study's metrics; nothing where the run does not know it
  int64_t arrived = 0, completed = 0;
  double outside = 0;  // share of the look-ups outside measured grids
  std::vector<QueueSample> queues;
};

struct Study {
  std::string file, sha256, name, question;
  uint64_t seed = 1;
  int64_t replications = 20;
  std::string resolved;  // the YAML with every default filled in

  // What reading the files that it names adds.
  std::vector<std::string> policies;  // at least one
  std::vector<MetricInfo> metrics;
  std::vector<std::string> modelled;  // what was not measured, in sentences
  std::vector<std::string> findings;  // what there is to say before any run, in sentences
  std::optional<double> calibration_error;
  std::vector<Json> pictures;  // {"title", "x", "y", "series": [{"name", "x": [...], "y": [...]}]}, for the report
  // THROWS Error: there is no such policy, or it needs what is not known.
  std::function<void(const std::string& policy)> require;
  // The same policy and seed give the same run, on any thread.
  std::function<OneRun(const std::string& policy, uint64_t seed, size_t queue_samples)> run;
};

// Reads the files that a scenario names and adds to the study what they say; catalogue: of devices, a file or empty.
// THROWS Error.
using LoadStudy = std::function<void(Study* study, const std::string& catalogue)>;

struct Question {
  std::string_view name, summary;
  std::string_view policies;            // and what they are, for people
  LoadStudy (*read)(Options& options);  // its part of the scenario, policies too; THROWS Error; opens no file
};
// All but "requests", which scenario.h reads and which a scenario that says nothing asks.
std::span<const Question> Questions();

struct ParsedStudy {
  Study study;
  LoadStudy load;
};
// overrides: "device.power_W=3", as ApplyOverride takes them. THROWS Error.
ParsedStudy ParseStudy(std::string_view yaml, const std::string& where, const std::vector<std::string>& overrides = {});
// The whole of a scenario, of whatever question. THROWS Error.
Study ReadStudy(const std::string& file, const std::vector<std::string>& overrides = {},
                const std::string& catalogue = "");

}  // namespace ecld::offload
