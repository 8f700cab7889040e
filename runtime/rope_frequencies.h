#pragma once
// The rotation frequency of each pair of a head, from the config: plain, "linear" (positions divided by a factor) or
// "llama3" (Llama 3.1: long wavelengths divided, short ones kept, between them blended). As transformers defines them.

#include <cstdint>
#include <vector>

#include "checkpoint/config.h"

namespace ecld {

// [head_dim / 2], in radians per position.
std::vector<float> RopeFrequencies(const ModelConfig& config);

// Appends cosine and sine of the angle of each frequency at a position.
void AppendRotation(const std::vector<float>& frequencies, int64_t position, std::vector<float>* cosine,
                    std::vector<float>* sine);

}  // namespace ecld
