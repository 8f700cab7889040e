#pragma once
// A scenario whose files were read: profiles, catalogue, traces; and the items that every variant has answered, joined.
// What an answer is worth, how long it is and how sure the device was are those measured for the item, whoever answers.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "offload/calibration.h"
#include "offload/phase_times.h"
#include "offload/policies.h"
#include "offload/scenario.h"

namespace ecld::offload {

struct Answer {
  std::optional<bool> right, hallucinated;
  std::optional<int64_t> tok;  // absent: the task has answers to choose from
};

// What a policy may expect of an answerer, by a task: from items that no request asks about.
struct Expectation {
  std::optional<Calibration> right, hallucinated;  // by the uncertainty of the class's first variant
  std::optional<double> answer_tok;

  Worth At(const CalibrationOf& of, std::optional<double> uncertainty) const;
};

// A model in a place, with its answers to all items.
struct Answerer {
  std::shared_ptr<const LoadedModel> model;
  std::vector<Answer> answers;  // [items]
};

struct DeviceClass {
  DeviceSpec spec;
  std::vector<Answerer> variants;
  std::vector<double> load_s;       // [variants]; of those that do not all fit into its memory at once
  std::vector<double> uncertainty;  // [items], of the first variant
  std::vector<CalibrationOf> of;    // [tasks]
  std::vector<std::vector<Expectation>> local, remote;  // [variants][tasks], [servers][tasks]
};

struct ServerClass {
  ServerSpec spec;
  Answerer answerer;
  std::vector<double> stretch;  // [batch]: a step of 1, 2, ... requests over a step of one
};

struct World {
  Scenario scenario;
  RequestSource requests;
  StartNetwork network;
  std::vector<DeviceClass> classes;
  std::vector<size_t> class_of;  // [devices]
  std::vector<ServerClass> servers;
  std::vector<std::string> item_ids;        // [items]
  std::vector<size_t> task_of;              // [items]
  std::vector<size_t> drawn;                // items that requests ask about
  std::optional<double> calibration_error;  // of the first class's first variant, on the items drawn
  std::vector<std::string> modelled;        // what was not measured, in sentences
};

// THROWS Error: a file that cannot be read; a profile without a table that is needed; items that not all have; memory
// that cannot hold what runs; a limit on what nobody measured; a trace that ends before the horizon. catalogue: a file,
// or empty.
World LoadWorld(Scenario scenario, const std::string& catalogue = "");

DecisionShape ShapeOf(const World& world);

// The policy of this name. THROWS Error: FindPolicy; it needs what the world does not know, or was learned for another
// shape.
Policy PolicyFor(const World& world, std::string_view policy);

}  // namespace ecld::offload
