#pragma once
// What passes share that take inputs of one linear away in every block, as many everywhere, so that config.json stays
// standard: options, plan, and the walk. Blocks are decided one after the other, each from the states that the pruned
// model really gives; the report says of each what is left and what it loses.

#include <functional>
#include <string>

#include "model/pass.h"
#include "prune/survivors.h"

namespace ecld {

class Options;

RemovalOptions ReadRemovalOptions(Options& options);

// For plans. THROWS Error for a model that is packed, or whose formats were chosen already.
void RequirePrunable(const PlanInput& input);

// Of a pass after which the config is `result`. linear: kDown or kOutput. THROWS Error: what RequirePrunable does; an
// option; less calibration text than weights are to be refitted to.
Planned PlanRemoval(const PlanInput& input, const RemovalOptions& options, Role linear, const ModelConfig& result);

struct Removal {
  std::string label;  // the pass's name
  Role linear;
  std::function<void(Survivors&)> keep;       // takes away what is to go
  std::function<Json(const Survivors&)> row;  // of the report, beside what all passes say
};

// in and out of equal sizes: copies.
void WalkRemoval(const Checkpoint& in, CheckpointWriter& out, PassContext& context, const RemovalOptions& options,
                 const Removal& removal);

// Parameters, bytes and operations per token of two configs, for reports.
Json SizesJson(const ModelConfig& before, const ModelConfig& after);

}  // namespace ecld
