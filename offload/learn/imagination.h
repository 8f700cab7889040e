#pragma once
// What a policy would do from where it has been, as a model foretells it; and how far that is to be trusted.

#include <ATen/core/Tensor.h>

#include "offload/learn/actor_critic.h"
#include "offload/learn/model.h"

namespace ecld::offload {

struct ImaginationStart {
  at::Tensor state;         // [members, n, remembered]
  at::Tensor observations;  // [n, observed], or of each member [members, n, observed]
  at::Tensor allowed;       // [n, all choices], bytes: what may be chosen, then and after
};

struct ImaginationSettings {
  int64_t horizon = 3;  // steps
  double gamma = 0.99, lambda = 0.95;
};

// Returns are lambda-returns to the horizon, where the critic's values take over.
struct Imagined {
  at::Tensor observations, actions;  // [horizon, members, n, ...]
  at::Tensor log_p;                  // [horizon, members, n]
  at::Tensor values, returns;        // [horizon, members, n, kinds]
};

// chance: none for the likeliest actions.
Imagined Imagine(const Model& model, const ActorCritic& agent, const ImaginationStart& start,
                 const ImaginationSettings& settings, Random* chance);

// How much of what a model adds to an estimate is worth taking: the share that makes up most of what the estimate
// missed, by least squares on what came true in the latest rollouts, two standard errors below, in [0, 1]. A model that
// knows nothing, or the wrong thing, has 0.
class Trust {
 public:
  // Of one more rollout, none of which the model has learned from. missed, added: [n].
  double In(const at::Tensor& missed, const at::Tensor& added);

  std::vector<double> State() const { return {power_, product_, noise_}; }
  void Restore(const std::vector<double>& state) { power_ = state[0], product_ = state[1], noise_ = state[2]; }

 private:
  double power_ = 0, product_ = 0, noise_ = 0;  // sums that fade
};

}  // namespace ecld::offload
