#pragma once
// What a format costs a model by the curvature of its KL, for every unit that quantize.allocate chooses for: with E the
// error of rounding, tr(G E H E^T) / 2 nats per token (model/statistics.h), where rounding on both sides (gptq_rows.h)
// leaves of each weight's error what no other weight can make good: sum_ij e_ij^2 / (U_G,ii U_H,jj)^2 / 2. The errors e
// of rounding to nearest stand for those, which are as large. Such costs add up, and all formats of a matrix cost no
// more than rounding it to nearest in each.
//
// An embedding's row counts by its token's probability: as a row of the tied head H is of the final states, as an input
// G is of the states that enter the first block.

#include <vector>

#include "model/pass.h"
#include "quantize/allocation_units.h"
#include "quantize/ends.h"
#include "quantize/grid.h"

namespace ecld {

struct CurvatureOptions {
  Clip clip = Clip::kMse;
  HessianOptions hessian;
  double output_damping = 1;
};

// Nats per token of every unit in every format (0 where dense): "kl_nats" of a row of the report for each unit that has
// none yet. Kept beside the statistics, for runs with other budgets. THROWS Error for NaN weights.
void MeasureCurvature(const Checkpoint& in, const AllocationSpace& space, const CurvatureOptions& options,
                      PassContext& context);

// For plans.
struct CurvatureCost {
  double seconds = 0;  // 0 where the input knows no rates
  uint64_t peak_memory_B = 0, scratch_B = 0;
};
CurvatureCost CostOfCurvature(const PlanInput& input, const AllocationSpace& space, const CurvatureOptions& options);

}  // namespace ecld
