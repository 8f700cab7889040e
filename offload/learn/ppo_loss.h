#pragma once
// The objective of proximal policy optimization (Schulman et al. 2017) on a minibatch, with the value's change clipped
// as the policy's is, where that is asked for.

#include <ATen/core/Tensor.h>

#include <optional>

#include "offload/learn/actor_critic.h"

namespace ecld::offload {

struct Minibatch {
  at::Tensor observations;  // [n, observed]
  at::Tensor actions;       // [n, parts]
  at::Tensor allowed;       // [n, all choices], bool; none: all may be chosen
  at::Tensor log_p;         // [n], when they were taken
  at::Tensor advantages;    // [n]
  at::Tensor returns;       // [n, values]
  at::Tensor values;        // [n, values], when they were taken
};

struct LossWeights {
  double clip = 0.2;
  std::optional<double> clip_value;
  double entropy = 0, value = 0.5;   // an entropy that weighs nothing is not reckoned
  bool normalize_advantages = true;  // within the minibatch
  bool figures = true;               // kl, and entropy where it weighs nothing: for who reports them
};

struct PpoLoss {
  ActorCritic::Out out;               // whose gradients ActorCritic::Backward takes on
  at::Tensor total;                   // what is descended
  at::Tensor policy, value, entropy;  // its parts, unweighted
  at::Tensor kl;                      // of the policy that acted, mean of (ratio - 1) - log ratio
  at::Tensor ratio;                   // [n]
};

PpoLoss LossOf(const ActorCritic& agent, const Minibatch& batch, const LossWeights& weights);

}  // namespace ecld::offload
