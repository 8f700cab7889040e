#pragma once
// What a model computes that not every decoder does. Whoever computes a model (runtime, GPU, Torch blocks) says which
// of these it was taught; a model with any other is refused by name there, never computed without it.

#include <span>
#include <string>
#include <string_view>

#include "checkpoint/config.h"

namespace ecld {

enum class Feature {
  kQueryKeyValueBias,
  kOutputBias,
  kMlpBias,
  kHeadNorms,  // of queries and keys
  kWindows,    // some layers attend to the last tokens only
  kRopeLinear,
  kRopeLlama3,
  kRopeYarn,
  kRopeDynamic,
  kRopeLongRope,
  kRopeOfWindows,  // layers with a window are turned in another way
  kGelu,
  kOutputNorms,
  kEmbeddingScale,
  kLayerSizes,   // blocks of different numbers of heads or channels
  kQueryScalar,  // scores are not divided by the square root of head_dim
};

// THROWS Error naming what this model has and is not in taught. where: the checkpoint; who: "the GPU's kernels".
void RequireTaught(const ModelConfig& config, std::span<const Feature> taught, const std::string& where,
                   std::string_view who);

}  // namespace ecld
