#pragma once
// Generalized advantage estimation (Schulman et al. 2016). An episode that was cut off goes on in the estimate, by the
// value of the observation it was cut off at; one that came to its end does not. Neither lends to the next episode.

#include <cstdint>
#include <span>
#include <vector>

namespace ecld::offload {

struct AdvantageInput {
  size_t steps = 0, environments = 0, kinds = 1;  // kinds: of rewards, each with values of its own
  std::span<const float> rewards;                 // [steps, environments, kinds]
  std::span<const float> values;                  // [steps, environments, kinds], of what was observed before the step
  std::span<const float> next_values;  // the same, of what was observed after it; where truncated, at the cut
  std::span<const uint8_t> terminated, truncated;  // [steps, environments]
  double gamma = 0.99, lambda = 0.95;
};

// [steps, environments, kinds]
std::vector<float> Advantages(const AdvantageInput& in);

}  // namespace ecld::offload
