#pragma once
// What a format costs a model: KL(original || original with one unit rounded) on calibration text, in nats per token,
// unit by unit, everything else as it was. Rounding is to nearest; a calibrated pass makes less of an error of every
// format, and the order of units and formats stays.
//
// Exact: every unit in every format is run through the rest of the model. Otherwise each unit in one format, and the
// others follow from it: for small errors KL grows with the squared error of the unit's outputs (its second-order
// expansion, which Hessian-based methods start from), so KL(format) = KL(anchor) * E(format) / E(anchor), where E is
// the squared error of the outputs on the same text. Embedding and head are always run in every format.

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "model/pass.h"
#include "quantize/allocation_units.h"
#include "quantize/grid.h"

namespace ecld {

struct SensitivityOptions {
  Clip clip = Clip::kMse;
  bool exact = false;
  size_t anchor = 0;          // index into the formats; one that packs
  int64_t sample_tok = 2048;  // tokens of the calibration text that are looked at, in whole windows
};

// KL of every unit in every format (0 where dense): "kl_nats" of a row of the report for each unit that has none yet.
// THROWS Error for NaN weights.
void MeasureSensitivity(const Checkpoint& in, const AllocationSpace& space, const SensitivityOptions& options,
                        PassContext& context);

// For plans.
struct SensitivityCost {
  double flops = 0;
  uint64_t peak_memory_B = 0;
};
SensitivityCost CostOfSensitivity(const ModelConfig& config, int64_t window_tok, int64_t windows,
                                  const AllocationSpace& space, const SensitivityOptions& options);

}  // namespace ecld
