#pragma once
// What a batch of environments did under a policy, as numbers: rows of steps, in each of environments. Observations are
// as the networks see them, scaled.

#include <optional>
#include <span>
#include <vector>

#include "offload/environments.h"
#include "offload/learn/actor_critic.h"
#include "offload/learn/running_moments.h"

namespace ecld::offload {

struct Rollout {
  size_t steps = 0, environments = 0;
  std::vector<float> observations, actions, log_p;  // [steps, environments, ...]
  std::vector<uint8_t> allowed, terminated, truncated;
  std::vector<float> rewards;            // [steps, environments, 1 + limits]: the reward, scaled, and the costs
  std::vector<float> last_observations;  // [those cut off, observed], in their order
  std::vector<float> next_observations;  // [environments, observed], after the last step
  std::vector<uint8_t> next_allowed;     // [environments, all choices], then
  double mean_reward = 0;                // as it was, of a step
};

// The scales of what goes into the networks.
class Scaler {
 public:
  Scaler(size_t observed, size_t environments, bool observations, bool rewards, double gamma)
      : observed_(observed), returns_(1), gamma_(gamma), sums_(environments, 0) {
    scales_observations_ = observations;
    scales_rewards_ = rewards;
  }

  void Learn(std::span<const float> observations);                     // [n, observed]
  void Scale(std::span<const float> from, std::span<float> to) const;  // [n, observed]
  // Of one step of all environments; learns as it goes.
  void ScaleRewards(const Frame& frame, std::vector<float>* rewards);
  void BeginAnew() { std::fill(sums_.begin(), sums_.end(), 0.0); }

  bool scales_observations() const { return scales_observations_; }
  RunningMoments& observed() { return observed_; }
  const RunningMoments& observed() const { return observed_; }
  RunningMoments& returns() { return returns_; }
  const RunningMoments& returns() const { return returns_; }

 private:
  RunningMoments observed_, returns_;
  double gamma_;
  bool scales_observations_ = false, scales_rewards_ = false;
  std::vector<double> sums_;  // [environments], discounted rewards so far
};

// Returns of the episodes that end, and the mean of the last hundred of them.
class EpisodeReturns {
 public:
  explicit EpisodeReturns(size_t environments) : sums_(environments, 0) {}
  void Add(const Frame& frame);
  void BeginAnew() { std::fill(sums_.begin(), sums_.end(), 0.0); }
  std::optional<double> mean() const;
  const std::vector<double>& ended() const { return ended_; }
  void Restore(std::vector<double> ended) { ended_ = std::move(ended); }

 private:
  std::vector<double> sums_, ended_;
};

// So many steps of all environments, from where they are. Scales learn as they go.
Rollout Roll(size_t steps, const ActorCritic& agent, EnvironmentBatch& batch, Scaler& scaler, EpisodeReturns& returns,
             Random& random);

}  // namespace ecld::offload
