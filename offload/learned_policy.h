#pragma once
// A policy that was learned, run without what it was learned with: a folder of policy.json (what it decides on, where
// it was learned) and policy.safetensors (scales of observations, layers of tanh). Of what is allowed it takes the
// likeliest, one request after another, each knowing where those before it go.

#include <filesystem>
#include <string>
#include <vector>

#include "core/document.h"
#include "offload/named_arrays.h"
#include "offload/policies.h"

namespace ecld::offload {

inline constexpr DocumentKind kPolicyDocument{"ecld.policy", "1.0.0"};

// Layers of tanh over scaled observations.
class PolicyNetwork {
 public:
  // arrays: observed.mean, observed.scale, policy.0.weight [outputs, inputs], policy.0.bias, policy.1.weight, ...
  // THROWS Error, naming file: one that is missing or does not fit.
  PolicyNetwork(const NamedArrays& arrays, size_t observed, size_t outputs, const std::string& file);

  std::vector<float> Run(std::span<const float> observation) const;

 private:
  struct Layer {
    size_t inputs = 0, outputs = 0;
    std::vector<float> weight, bias;
  };

  std::vector<float> mean_, scale_;
  std::vector<Layer> layers_;
};

// about: what else policy.json says, an object. THROWS Error.
void WriteLearnedPolicy(const std::filesystem::path& folder, DecisionShape shape, const NamedArrays& arrays,
                        const Json& about);
// THROWS Error: not such a folder, or one of a newer version.
Policy ReadLearnedPolicy(const std::filesystem::path& folder);

}  // namespace ecld::offload
