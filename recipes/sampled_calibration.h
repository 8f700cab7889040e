#pragma once
// Calibration text that the model writes itself, for where there is none, or none may be used (data-free calibration:
// Liu et al. 2023, LLM-QAT, arXiv 2305.17888, section 3.1). A window begins with a token drawn evenly from the
// vocabulary, goes on with the likeliest for a few, and then with tokens drawn from the model's own distribution.

#include <cstdint>
#include <filesystem>

#include "checkpoint/checkpoint.h"
#include "model/pass.h"
#include "recipes/recipe.h"

namespace ecld {

// The same model, options and processor give the same windows. They are kept in `file`; where it exists already it is
// read, so that a run that goes on does so with what it began with. THROWS Error: window_tok beyond the model's
// positions, and what Session throws.
TokenWindows SampleCalibration(const CalibrationOptions& options, const Checkpoint& model,
                               const std::filesystem::path& file);

// For plans, modelled from the rates at which this machine reads memory and multiplies, which are measured.
struct SamplingCost {
  double seconds = 0;
  uint64_t memory_B = 0;  // of the caches; weights are read where they lie in the file
};
SamplingCost CostOfSampling(const CalibrationOptions& options, const Checkpoint& model);

}  // namespace ecld
