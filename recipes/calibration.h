#pragma once
// Calibration text as windows of token ids: what passes that look at activations run through the model.

#include <cstdint>
#include <span>

#include "checkpoint/checkpoint.h"
#include "model/pass.h"
#include "recipes/recipe.h"

namespace ecld {

// Cuts windows that do not overlap: "even" spreads them from the first token to the last, "random" draws their places
// with the seed; in the order of the text either way. THROWS Error when ids are too few, saying how many it takes.
TokenWindows CutWindows(std::span<const int32_t> ids, const CalibrationOptions& options);

// Reads options.text with the tokenizer of model. THROWS Error: no text named, unreadable, too short, an id that the
// model's vocabulary does not have.
TokenWindows ReadCalibration(const CalibrationOptions& options, const Checkpoint& model);

// THROWS Error when a window has more tokens than the model has positions.
void CheckWindow(const CalibrationOptions& options, const Checkpoint& model);

}  // namespace ecld
