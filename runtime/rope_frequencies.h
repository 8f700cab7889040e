#pragma once
// The rotation frequency of each pair of a head, from the config: plain, "linear" (positions divided by a factor) or
// "llama3" (Llama 3.1: long wavelengths divided, short ones kept, between them blended). As transformers defines them.

#include <vector>

#include "checkpoint/config.h"

namespace ecld {

// [head_dim / 2], in radians per position.
std::vector<float> RopeFrequencies(const ModelConfig& config);

}  // namespace ecld
