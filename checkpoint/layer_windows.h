#pragma once
// Which layers of a model attend to the last tokens only, as config.json of each family says it.

#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/config.h"

namespace ecld {

// [num_layers]; 0 = the layer attends to all earlier positions. Adds to notes which of two that disagree was taken.
// THROWS Error with file and key path.
std::vector<int64_t> ReadSlidingWindow(const JsonView& json, Family family, int64_t num_layers,
                                       std::vector<std::string>* notes);

}  // namespace ecld
