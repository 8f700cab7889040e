#pragma once
// Proximal policy optimization with a world model: the model learns from the latest rollouts, and foretells from every
// observation of the newest, which it has not learned from, what the policy would go on to do. By that the critic's
// values are corrected (value targets: Feinberg et al. 2018, weighed by how far the members are apart as in Buckman et
// al. 2018), and more steps are learned from (imagination: Janner et al. 2019). Both only as far as the rollout bears
// the model out (Trust).

#include <string>

#include "offload/learn/imagination.h"
#include "offload/learn/memory.h"
#include "offload/learn/ppo_loss.h"

namespace ecld::offload {

struct ForesightReport {
  double model_error = 0;     // of next observations: the share of their variance that was not foretold
  double value_trust = 0;     // Trust in its values of rewards
  double imagined_share = 0;  // imagined rows for each real one, by Trust in what it says of actions
};

class Foresight {
 public:
  Foresight(const Spaces& spaces, const ForesightSettings& settings, int64_t rollout_steps, int64_t environments,
            double gamma, uint64_t seed);

  void BeginAnew();
  // Looks at a rollout: values [(steps + 1) * environments, kinds] as they are better taken to be. missed: advantages
  // over the values as they were, [steps * environments, kinds]; weights: of the kinds, in what is learned.
  at::Tensor Improve(const Rollout& rollout, const ActorCritic& agent, const at::Tensor& values,
                     const at::Tensor& missed, const at::Tensor& weights, Random& random);
  // Adds imagined rows from that rollout.
  void AddImagined(const at::Tensor& weights, Random& random, Minibatch* to) const;
  // Learns from that rollout, and those before it. THROWS Error, with when, as WorldModel does.
  void Learn(Random& random, const std::string& when);

  const ForesightReport& report() const { return report_; }
  void Save(NamedArrays* state) const;
  void Restore(const NamedArrays& state);

 private:
  void Judge(const WorldModel::Followed& followed, const ActorCritic& agent, const at::Tensor& missed,
             const at::Tensor& weights, Random& random);

  ForesightSettings settings_;
  ImaginationSettings imagination_;
  WorldModel model_;
  Memory memory_;
  at::Tensor state_;    // [members, environments, hidden], where the next rollout begins
  Course course_;       // of the latest rollout
  at::Tensor allowed_;  // [its observations, all choices]
  Imagined imagined_;
  std::vector<Trust> in_values_;  // [kinds]
  Trust in_actions_;
  double trust_in_actions_ = 0;  // by the latest rollout
  ForesightReport report_;
};

}  // namespace ecld::offload
