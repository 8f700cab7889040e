#include "offload/learn/ppo_loss.h"

#include <ATen/ATen.h>

namespace ecld::offload {

PpoLoss LossOf(const ActorCritic& agent, const Minibatch& batch, const LossWeights& weights) {
  const ActorCritic::Out out = agent.Forward(batch.observations);
  const ActorCritic::Judged judged =
      agent.Judge(out, batch.actions, batch.allowed, weights.figures || weights.entropy != 0);
  at::Tensor advantages = batch.advantages;
  if (weights.normalize_advantages && advantages.numel() > 1)
    advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8);
  const at::Tensor log_ratio = judged.log_p - batch.log_p;
  PpoLoss loss{.out = out, .ratio = log_ratio.exp()};
  const at::Tensor clipped = loss.ratio.clamp(1 - weights.clip, 1 + weights.clip);
  loss.policy = -at::min(advantages * loss.ratio, advantages * clipped).mean();
  at::Tensor off = (out.values - batch.returns).square();
  if (weights.clip_value) {
    const at::Tensor moved = (out.values - batch.values).clamp(-*weights.clip_value, *weights.clip_value);
    off = at::max(off, (batch.values + moved - batch.returns).square());
  }
  loss.value = off.mean();
  if (judged.entropy.defined()) loss.entropy = judged.entropy.mean();
  loss.total = loss.policy + weights.value * loss.value;
  if (weights.entropy != 0) loss.total = loss.total - weights.entropy * loss.entropy;
  if (weights.figures) loss.kl = (loss.ratio.detach() - 1 - log_ratio.detach()).mean();
  return loss;
}

}  // namespace ecld::offload
