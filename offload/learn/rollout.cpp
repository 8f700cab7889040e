#include "offload/learn/rollout.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <numeric>

#include "offload/observation.h"

namespace ecld::offload {
namespace {

constexpr size_t kRecent = 100;

}  // namespace

void Scaler::Learn(std::span<const float> observations) {
  if (!scales_observations_) return;
  for (size_t at = 0; at < observations.size(); at += observed_.width())
    observed_.Add(observations.subspan(at, observed_.width()));
}

void Scaler::Scale(std::span<const float> from, std::span<float> to) const {
  if (!scales_observations_) {
    std::ranges::copy(from, to.begin());
    return;
  }
  const size_t width = observed_.width();
  for (size_t i = 0; i < width; ++i) {
    const auto mean = static_cast<float>(observed_.mean(i)), scale = static_cast<float>(observed_.scale(i));
    for (size_t at = i; at < from.size(); at += width) to[at] = Scaled(from[at], mean, scale);
  }
}

void Scaler::ScaleRewards(const Frame& frame, std::vector<float>* rewards) {
  *rewards = frame.rewards;
  if (!scales_rewards_) return;
  for (size_t i = 0; i < sums_.size(); ++i) {
    sums_[i] = sums_[i] * gamma_ + frame.rewards[i];
    const auto sum = static_cast<float>(sums_[i]);
    returns_.Add({&sum, 1});
  }
  const auto scale = static_cast<float>(returns_.scale(0));
  for (size_t i = 0; i < sums_.size(); ++i) {
    (*rewards)[i] = Scaled(frame.rewards[i], 0, scale);
    if (frame.terminated[i] || frame.truncated[i]) sums_[i] = 0;
  }
}

void EpisodeReturns::Add(const Frame& frame) {
  for (size_t i = 0; i < sums_.size(); ++i) {
    sums_[i] += frame.rewards[i];
    if (!frame.terminated[i] && !frame.truncated[i]) continue;
    ended_.push_back(sums_[i]);
    if (ended_.size() > kRecent) ended_.erase(ended_.begin());
    sums_[i] = 0;
  }
}

std::optional<double> EpisodeReturns::mean() const {
  if (ended_.empty()) return std::nullopt;
  return std::accumulate(ended_.begin(), ended_.end(), 0.0) / static_cast<double>(ended_.size());
}

Rollout Roll(size_t steps, const ActorCritic& agent, EnvironmentBatch& batch, Scaler& scaler, EpisodeReturns& returns,
             Random& random) {
  at::NoGradGuard no_grad;
  const size_t n = batch.count(), width = batch.spaces().observed, parts = batch.spaces().parts();
  const size_t limits = batch.spaces().limits.size();
  Rollout made{.steps = steps, .environments = n};
  made.observations.resize(steps * n * width);
  made.actions.resize(steps * n * parts);
  made.log_p.resize(steps * n);
  std::vector<float> rewards;
  for (size_t t = 0; t < steps; ++t) {
    const std::span<float> seen = std::span(made.observations).subspan(t * n * width, n * width);
    const std::span<float> actions = std::span(made.actions).subspan(t * n * parts, n * parts);
    scaler.Learn(batch.frame().observations);
    scaler.Scale(batch.frame().observations, seen);
    const at::Tensor policy =
        agent.Policy(at::from_blob(seen.data(), {static_cast<int64_t>(n), static_cast<int64_t>(width)}, at::kFloat));
    const std::vector<uint8_t>& allowed = batch.frame().allowed;
    made.allowed.insert(made.allowed.end(), allowed.begin(), allowed.end());
    agent.Act(policy, allowed, &random, actions, std::span(made.log_p).subspan(t * n, n));
    batch.Step(actions);
    const Frame& frame = batch.frame();
    scaler.ScaleRewards(frame, &rewards);
    returns.Add(frame);
    made.mean_reward +=
        std::accumulate(frame.rewards.begin(), frame.rewards.end(), 0.0) / static_cast<double>(n * steps);
    for (size_t i = 0; i < n; ++i) {
      made.rewards.push_back(rewards[i]);
      for (size_t k = 0; k < limits; ++k) made.rewards.push_back(frame.costs[i * limits + k]);
      if (!frame.truncated[i]) continue;
      made.last_observations.resize(made.last_observations.size() + width);
      scaler.Scale(std::span(frame.last_observations).subspan(i * width, width),
                   std::span(made.last_observations).last(width));
    }
    made.terminated.insert(made.terminated.end(), frame.terminated.begin(), frame.terminated.end());
    made.truncated.insert(made.truncated.end(), frame.truncated.begin(), frame.truncated.end());
  }
  made.next_observations.resize(n * width);
  scaler.Scale(batch.frame().observations, made.next_observations);
  made.next_allowed = batch.frame().allowed;
  return made;
}

}  // namespace ecld::offload
