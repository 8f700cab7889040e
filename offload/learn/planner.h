#pragma once
// A distilled planner: from what a device knows before it answers, the task and how sure its own first token is, how
// likely each node is to be right and how long its answer will be. Learned from the items that a world calibrates by;
// judged on those that requests ask about.

#include <optional>
#include <string>
#include <vector>

#include "core/json.h"
#include "offload/world.h"

namespace ecld::offload {

// On the items that requests ask about.
struct NodeForetold {
  std::string node;  // the variant's id
  int64_t items = 0;
  // Area under the curve of being right, by what is foretold, by the uncertainty alone, by the task's mean; none where
  // all are right or none is.
  std::optional<double> auroc, auroc_uncertainty, auroc_task;
  double calibration_error = 0;
  std::optional<double> length_error, length_error_task;  // mean, in tokens; of what is foretold, of the task's mean
  std::vector<double> right, tok;                         // [items], of all; tok 0 where the task has choices
};

// Of the first class of devices: its variants, then the servers. REQUIRES: the world has items.
std::vector<NodeForetold> DistillPlanner(const World& world, uint64_t seed);

// Without what was foretold of each item.
Json ToJson(const NodeForetold& node);
// {"<task>/<item>": tokens} of the items that requests ask about, as `profile --planned-lengths` reads it.
Json PlannedLengths(const World& world, const NodeForetold& node);

}  // namespace ecld::offload
