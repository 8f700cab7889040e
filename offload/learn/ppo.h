#pragma once
// Proximal policy optimization over a batch of environments: roll out, estimate advantages, descend, and again. Limits
// are kept by Lagrange multipliers (a price for each cost, that rises while the limit is broken). One thread: networks
// are small, and many environments are stepped in one batch. The same settings and seed give the same policy.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "offload/environments.h"
#include "offload/learn/foresight_settings.h"
#include "offload/named_arrays.h"

namespace ecld::offload {

struct PpoSettings {
  int64_t environments = 8, rollout_steps = 32, minibatch = 256, epochs = 20;
  double gamma = 0.98, lambda = 0.8;
  double learning_rate = 1e-3, clip = 0.2;
  bool fall = true;  // both, straight to 0 at the end of the run
  std::optional<double> clip_value;
  double entropy = 0, value_weight = 0.5, max_gradient = 0.5;
  bool normalize_observations = false, normalize_rewards = false;
  std::vector<int64_t> hidden = {64, 64};
  double price_rate = 0.05;  // of the multipliers: a rollout's mean cost times this is added to each
  double price_reach = 0.5;  // and this times the mean cost of late on top (Stooke et al. 2020)
  double reserve = 0;        // costs count as so much more, so that a limit is kept with this to spare
  std::optional<ForesightSettings> foresight;  // a world model beside
};

// What a rollout and the descent on it came to.
struct PpoReport {
  int64_t steps = 0;                                            // of all environments since the beginning
  std::optional<double> episode_return;                         // mean of the last hundred that ended
  double mean_reward = 0;                                       // of a step
  std::vector<double> mean_costs, prices;                       // [limits]
  double policy_loss = 0, value_loss = 0, entropy = 0, kl = 0;  // of the last minibatch
  double model_error = 0, value_trust = 0, imagined_share = 0;  // where there is a world model: foresight.h
};

class Ppo {
 public:
  // total_steps: after which schedules are at their end. make: kept.
  Ppo(const MakeEnvironment& make, const PpoSettings& settings, int64_t total_steps, uint64_t seed);
  ~Ppo();

  // THROWS Error, with the step named, where a loss or a gradient is not finite; the policy is then as it was before.
  PpoReport Iterate();
  int64_t steps() const;
  bool done() const;

  // Begins new episodes, by chance that depends on the seed and the steps done alone: where a run may be stopped and
  // go on as if it had not been.
  void BeginAnew();
  NamedArrays State() const;
  void Restore(const NamedArrays& state);  // REQUIRES: of a run of the same settings. THROWS Error otherwise

  // Networks and the scales of observations, as LearnedPolicy reads them (offload/learned_policy.h).
  NamedArrays Policy() const;

  // What the policy's network says of observations as they come, [n, choices or numbers].
  std::vector<float> Outputs(std::vector<float> observations) const;

  // Returns of whole episodes, one environment each, by the likeliest action or by chance.
  std::vector<double> Evaluate(int64_t episodes, uint64_t seed, bool likeliest = true) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ecld::offload
