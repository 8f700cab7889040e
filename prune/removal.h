#pragma once
// What passes share that take inputs of one linear away in every block: options, plan, and the walk. Blocks are decided
// one after the other, each from the states that the pruned model really gives; the report says of each what is left
// and what it loses. As much goes everywhere, so that config.json stays standard, or as much as ratio_search.h chooses.

#include <functional>
#include <string>

#include "checkpoint/layer_sizes.h"
#include "model/settling_pass.h"
#include "prune/survivors.h"

namespace ecld {

class Options;

struct RatioOptions {
  bool chosen = false;        // how much of each block goes; else as much everywhere
  int64_t rounds = 3;         // in which what each block costs is measured and levels change hands
  int64_t sample_tok = 2048;  // of the windows held out, that KL is measured on
};

RemovalOptions ReadRemovalOptions(Options& options);
RatioOptions ReadRatioOptions(Options& options);

// For plans. THROWS Error for a model that is packed, or whose formats were chosen already.
void RequirePrunable(const PlanInput& input);

struct Removal {
  std::string label;  // the pass's name
  Role linear;        // kDown or kOutput
  // What may be left of a block where ratios are chosen, from the least to all, each by as many inputs more. Of their
  // sizes those count that the linear's inputs have.
  std::vector<LayerSizes> levels;
  std::function<void(Survivors&, const LayerSizes& left)> keep;
  std::function<Json(const Survivors&)> row;  // of the report, beside what all passes say
};

// Of a pass after which the config is `result`. Where ratios are chosen, what is planned is another of as many
// parameters, whose blocks differ, so that later stages are planned for such. THROWS Error: what RequirePrunable does;
// an option; less calibration text than weights are to be refitted to.
Planned PlanRemoval(const PlanInput& input, const RemovalOptions& options, const RatioOptions& ratios,
                    const Removal& removal, const ModelConfig& result);

// SettlingPass::Settle of such a pass: levels that are as many together as they are planned to be.
ModelConfig SettleRemoval(const Checkpoint& in, const ModelConfig& planned, PassContext& context,
                          const RemovalOptions& options, const RatioOptions& ratios, const Removal& removal);

// in and out of equal sizes: copies.
void WalkRemoval(const Checkpoint& in, CheckpointWriter& out, PassContext& context, const RemovalOptions& options,
                 const Removal& removal);

// Parameters, bytes and operations per token of two configs, for reports.
Json SizesJson(const ModelConfig& before, const ModelConfig& after);

}  // namespace ecld
