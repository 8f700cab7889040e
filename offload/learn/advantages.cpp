#include "offload/learn/advantages.h"

namespace ecld::offload {

std::vector<float> Advantages(const AdvantageInput& in) {
  const size_t width = in.environments * in.kinds;
  std::vector<float> advantages(in.steps * width);
  for (size_t lane = 0; lane < width; ++lane) {
    double ahead = 0;
    for (size_t t = in.steps; t-- > 0;) {
      const size_t at = t * width + lane, episode = t * in.environments + lane / in.kinds;
      const double next = in.terminated[episode] ? 0 : in.gamma * in.next_values[at];
      const bool ended = in.terminated[episode] || in.truncated[episode];
      ahead = in.rewards[at] + next - in.values[at] + (ended ? 0 : in.gamma * in.lambda * ahead);
      advantages[at] = static_cast<float>(ahead);
    }
  }
  return advantages;
}

}  // namespace ecld::offload
