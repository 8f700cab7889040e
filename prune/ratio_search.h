#pragma once
// Chooses how much of each block is kept, by KL of the pruned model to the dense one on the calibration windows that
// are held out, and never by a block alone: every block is looked at behind those before it as they are pruned, and
// before those after it. First as much everywhere, where the growth of the error that removing goes by (survivors.h)
// says what each block would lose at every level; then KL is measured with each block a little smaller, which corrects
// those costs (ratios.h), and levels change hands as long as the KL of the whole falls.

#include <cstdint>
#include <vector>

#include "prune/removal.h"

namespace ecld {

// Of each block the index into removal.levels, at first `uniform` everywhere. A row of the report for each model
// measured; those of a killed run are taken.
std::vector<size_t> ChooseLevels(const Checkpoint& in, PassContext& context, const RemovalOptions& options,
                                 const RatioOptions& ratios, const Removal& removal, size_t uniform);

// For plans, beside what removing costs once the sizes are chosen.
struct SearchCost {
  double flops = 0;
  uint64_t memory_B = 0;
};
SearchCost CostOfSearch(const PlanInput& input, const RatioOptions& ratios, double walk_flops);

}  // namespace ecld
