#include "offload/learn/foresight.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <cmath>

#include "offload/learn/arrays.h"

namespace ecld::offload {

Foresight::Foresight(const Spaces& spaces, const ForesightSettings& settings, int64_t rollout_steps,
                     int64_t environments, double gamma, uint64_t seed)
    : settings_(settings),
      imagination_{.horizon = settings.horizon, .gamma = gamma, .lambda = settings.lambda},
      model_(spaces, settings.model, seed),
      memory_(spaces, settings.remembered, rollout_steps, environments, settings.model.members, settings.model.hidden),
      state_(model_.Begin(environments)),
      in_values_(1 + spaces.limits.size()) {}

void Foresight::BeginAnew() { state_.zero_(); }

at::Tensor Foresight::Improve(const Rollout& rollout, const ActorCritic& agent, const at::Tensor& values,
                              const at::Tensor& missed, const at::Tensor& weights, Random& random) {
  at::NoGradGuard no_grad;
  course_ = memory_.CourseOf(rollout, state_);
  const WorldModel::Followed followed = model_.Follow(course_);
  state_ = followed.states.select(1, followed.states.size(1) - 1).clone();
  const int64_t all = values.size(0), rows = missed.size(0), members = settings_.model.members;
  std::vector<uint8_t> allowed = rollout.allowed;
  allowed.insert(allowed.end(), rollout.next_allowed.begin(), rollout.next_allowed.end());
  allowed_ = at::tensor(allowed, at::kByte).view({all, static_cast<int64_t>(allowed.size()) / all});
  const at::Tensor after = course_.next_observations.select(1, course_.next_observations.size(1) - 1);
  imagined_ = Imagine(model_, agent,
                      {.state = followed.states.reshape({members, all, -1}),
                       .observations = at::cat({course_.observations.flatten(1, 2), after}, 1)[0],
                       .allowed = allowed_},
                      imagination_, &random);
  Judge(followed, agent, missed, weights, random);
  if (!settings_.value_targets) return values;
  const auto [spread, foretold] = at::var_mean(imagined_.returns[0], 0, /*unbiased=*/true);
  const at::Tensor noise = missed.square().mean(0, true);
  const at::Tensor added = (foretold - values) * (noise / (noise + spread + 1e-12));
  at::Tensor better = values.clone();
  for (int64_t k = 0; k < values.size(1); ++k) {
    const double trust =
        in_values_[static_cast<size_t>(k)].In(missed.select(1, k), added.select(1, k).narrow(0, 0, rows));
    better.select(1, k).add_(added.select(1, k), trust);
    if (k == 0) report_.value_trust = trust;
  }
  return better;
}

// What it foretold of the very steps that were taken, beside what came.
void Foresight::Judge(const WorldModel::Followed& followed, const ActorCritic& agent, const at::Tensor& missed,
                      const at::Tensor& weights, Random& random) {
  const Model::Foreseen& next = followed.next;
  const at::Tensor counts = (1 - course_.ended).unsqueeze(3), came = course_.next_observations;
  const at::Tensor mean = (came * counts).sum({1, 2}, true) / counts.sum().clamp_min(1);
  const at::Tensor off = ((next.observations.mean(0, true) - came).square() * counts).sum();
  const at::Tensor spread = ((came - mean).square() * counts).sum();
  report_.model_error = (off / spread.clamp_min(1e-12)).item<double>();

  report_.imagined_share = 0;
  if (!settings_.imagination) return;
  const int64_t steps = followed.states.size(1) - 1;
  const Imagined after = Imagine(model_, agent,
                                 {.state = followed.states.narrow(1, 1, steps).flatten(1, 2),
                                  .observations = next.observations.flatten(1, 2),
                                  .allowed = allowed_.narrow(0, 0, missed.size(0))},
                                 imagination_, &random);
  const at::Tensor goes_on = (imagination_.gamma * next.goes_on).flatten(1, 2).unsqueeze(2);
  const at::Tensor worth = (next.rewards.flatten(1, 2) + goes_on * after.returns[0]).mean(0);
  // Of an action over those that the policy may take as well: what is as good for all of them, or at every step, tells
  // none from another.
  const at::Tensor over = worth - imagined_.returns[0].mean(0).narrow(0, 0, worth.size(0));
  const auto apart = [&](const at::Tensor& of_kinds) {
    const at::Tensor of_steps = of_kinds.mv(weights);
    return of_steps - of_steps.mean();
  };
  trust_in_actions_ = in_actions_.In(apart(missed), apart(over));
  report_.imagined_share = settings_.imagined_rows * trust_in_actions_;
}

// Rows are first steps: what a member's action came to over what those of the others did, so that what the model
// mistakes about a state is in none. The critic learns nothing of them.
void Foresight::AddImagined(const at::Tensor& weights, Random& random, Minibatch* to) const {
  at::NoGradGuard no_grad;
  const int64_t rows = to->log_p.size(0), members = settings_.model.members;
  const int64_t count = std::lround(report_.imagined_share * static_cast<double>(rows));
  if (count == 0) return;
  const at::Tensor returns = imagined_.returns[0].matmul(weights);
  const at::Tensor over = (returns - returns.mean(0, true)) * members / (members - 1);
  const at::Tensor advantages = trust_in_actions_ * (over - over.mean(1, true));
  std::vector<int64_t> picked(static_cast<size_t>(count));
  for (int64_t& row : picked) row = static_cast<int64_t>(random.Below(static_cast<uint64_t>(returns.numel())));
  const at::Tensor index = at::tensor(picked, at::kLong);
  const auto add = [&](at::Tensor& real, const at::Tensor& first_steps) {
    real = at::cat({real, first_steps.flatten(0, 1).index_select(0, index)});
  };
  add(to->observations, imagined_.observations[0]);
  add(to->actions, imagined_.actions[0]);
  add(to->log_p, imagined_.log_p[0]);
  add(to->advantages, advantages);
  add(to->returns, imagined_.values[0]);
  add(to->values, imagined_.values[0]);
  if (to->allowed.defined()) add(to->allowed, allowed_.to(at::kBool).expand({members, -1, -1}));
}

void Foresight::Learn(Random& random, const std::string& when) {
  const at::Tensor rewards = course_.rewards.contiguous();
  model_.LearnScales({rewards.data_ptr<float>(), static_cast<size_t>(rewards.numel())});
  if (memory_.empty() && settings_.updates > 0) model_.FitLinear(course_);
  memory_.Add(course_);
  for (int64_t i = 0; i < settings_.updates; ++i) model_.Descend(memory_.Draw(settings_.courses, random), when);
}

void Foresight::Save(NamedArrays* state) const {
  model_.Save(state);
  memory_.Save(state);
  for (size_t k = 0; k < in_values_.size(); ++k)
    state->emplace(fmt::format("trust.values.{}", k), ArrayOf(in_values_[k].State()));
  state->emplace("trust.actions", ArrayOf(in_actions_.State()));
}

void Foresight::Restore(const NamedArrays& state) {
  model_.Restore(state);
  memory_.Restore(state);
  for (size_t k = 0; k < in_values_.size(); ++k)
    in_values_[k].Restore(NumbersIn(state, fmt::format("trust.values.{}", k), 3));
  in_actions_.Restore(NumbersIn(state, "trust.actions", 3));
}

}  // namespace ecld::offload
