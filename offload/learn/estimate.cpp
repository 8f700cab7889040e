#include "offload/learn/estimate.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "offload/learn/advantages.h"

namespace ecld::offload {

at::Tensor Matrix(std::vector<float>& values, size_t rows) {
  return at::from_blob(values.data(), {static_cast<int64_t>(rows), static_cast<int64_t>(values.size() / rows)},
                       at::kFloat);
}

at::Tensor Matrix(std::vector<uint8_t>& values, size_t rows) {
  return at::from_blob(values.data(), {static_cast<int64_t>(rows), static_cast<int64_t>(values.size() / rows)},
                       at::kByte);
}

at::Tensor ValuesOf(Rollout& rollout, const ActorCritic& agent) {
  const at::Tensor of_steps = agent.Values(Matrix(rollout.observations, rollout.steps * rollout.environments));
  return at::cat({of_steps, agent.Values(Matrix(rollout.next_observations, rollout.environments))});
}

at::Tensor AdvantagesOver(const at::Tensor& values, Rollout& rollout, const ActorCritic& agent, double gamma,
                          double lambda) {
  const auto kinds = static_cast<size_t>(values.size(1));
  const size_t width = rollout.environments * kinds, size = rollout.steps * width;
  const at::Tensor flat = values.contiguous();
  const float* of_steps = flat.data_ptr<float>();
  std::vector<float> next(of_steps + width, of_steps + width + size);
  if (!rollout.last_observations.empty()) {
    const auto cuts = static_cast<size_t>(std::ranges::count(rollout.truncated, 1));
    const at::Tensor at_cuts = agent.Values(Matrix(rollout.last_observations, cuts));
    const float* from = at_cuts.data_ptr<float>();
    for (size_t i = 0; i < rollout.truncated.size(); ++i) {
      if (!rollout.truncated[i]) continue;
      std::copy_n(from, kinds, next.data() + i * kinds);
      from += kinds;
    }
  }
  std::vector<float> advantages = Advantages({.steps = rollout.steps,
                                              .environments = rollout.environments,
                                              .kinds = kinds,
                                              .rewards = rollout.rewards,
                                              .values = {of_steps, size},
                                              .next_values = next,
                                              .terminated = rollout.terminated,
                                              .truncated = rollout.truncated,
                                              .gamma = gamma,
                                              .lambda = lambda});
  return Matrix(advantages, rollout.steps * rollout.environments).clone();
}

}  // namespace ecld::offload
