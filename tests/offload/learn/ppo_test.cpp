// The numerics of learning: advantages by hand, the loss at the policy that acted and its gradient, masks, limits.

#include "offload/learn/ppo.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "offload/learn/advantages.h"
#include "offload/learn/classic_environments.h"
#include "offload/learn/ppo_loss.h"
#include "offload/observation.h"
#include "tests/testing/expect_error.h"

namespace ecld::offload {
namespace {

TEST(Advantages, TellACutFromAnEnd) {
  // One environment, gamma 0.5, lambda 0.5: a step, a cut, a step, an end.
  const std::vector<float> rewards = {1, 2, 3, 4}, values = {10, 20, 30, 40}, next = {20, 100, 40, 999};
  const std::vector<uint8_t> terminated = {0, 0, 0, 1}, truncated = {0, 1, 0, 0};
  const std::vector<float> found = Advantages({.steps = 4,
                                               .environments = 1,
                                               .rewards = rewards,
                                               .values = values,
                                               .next_values = next,
                                               .terminated = terminated,
                                               .truncated = truncated,
                                               .gamma = 0.5,
                                               .lambda = 0.5});
  // Errors of one step: 1 + 10 - 10, 2 + 50 - 20 (the cut goes on), 3 + 20 - 30, 4 - 40 (the end does not).
  EXPECT_EQ(found, (std::vector<float>{1 + 0.25f * 32, 32, -7 + 0.25f * -36, -36}));
}

TEST(Advantages, KindsAndEnvironmentsDoNotMix) {
  const std::vector<float> rewards = {1, 5, 2, 6, 3, 7, 4, 8}, zeros(8, 0);
  const std::vector<uint8_t> none(4, 0);
  const std::vector<float> found = Advantages({.steps = 2,
                                               .environments = 2,
                                               .kinds = 2,
                                               .rewards = rewards,
                                               .values = zeros,
                                               .next_values = zeros,
                                               .terminated = none,
                                               .truncated = none,
                                               .gamma = 1,
                                               .lambda = 1});
  EXPECT_EQ(found, (std::vector<float>{4, 12, 6, 14, 3, 7, 4, 8}));
}

at::Tensor Noise(std::vector<int64_t> shape, Random& random) {
  at::Tensor made = at::empty(shape, at::kDouble);
  for (int64_t i = 0; i < made.numel(); ++i) made.data_ptr<double>()[i] = random.Normal();
  return made;
}

// A batch as an agent of this shape may have made it, with masks where there are choices.
Minibatch MadeBatch(const Spaces& spaces, const ActorCritic& agent, int64_t rows, Random& random) {
  at::NoGradGuard no_grad;
  Minibatch batch{.observations = Noise({rows, static_cast<int64_t>(spaces.observed)}, random)};
  if (spaces.choices.empty()) {
    batch.actions = Noise({rows, static_cast<int64_t>(spaces.numbers)}, random);
  } else {
    batch.allowed = at::ones({rows, static_cast<int64_t>(spaces.all_choices())}, at::kBool);
    batch.allowed.select(1, 0).slice(0, 0, rows, 2).fill_(false);
    batch.actions = at::ones({rows, static_cast<int64_t>(spaces.choices.size())}, at::kDouble);
  }
  const ActorCritic::Out out = agent.Forward(batch.observations);
  batch.log_p = agent.Judge(out, batch.actions, batch.allowed).log_p;
  batch.values = out.values;
  batch.returns = Noise(out.values.sizes().vec(), random);
  batch.advantages = Noise({rows}, random);
  return batch;
}

const Spaces kChoices{.observed = 5, .choices = {3, 2}, .limits = {"cost"}};
const Spaces kNumbers{.observed = 3, .numbers = 2, .bound = 1};

TEST(Loss, IsThatOfTheActingPolicyAtFirst) {
  for (const Spaces& spaces : {kChoices, kNumbers}) {
    Random random(1);
    const ActorCritic agent(spaces, {8}, 2, 7, at::kDouble);
    const PpoLoss loss = LossOf(agent, MadeBatch(spaces, agent, 16, random), {});
    EXPECT_EQ((loss.ratio - 1).abs().max().item<double>(), 0);
    EXPECT_EQ(loss.kl.item<double>(), 0);
    EXPECT_NEAR(loss.policy.item<double>(), 0, 1e-12) << "advantages of mean 0";
  }
}

TEST(Loss, GradientIsThatOfFiniteDifferences) {
  for (const Spaces& spaces : {kChoices, kNumbers}) {
    Random random(2);
    const ActorCritic agent(spaces, {6, 6}, 2, 7, at::kDouble);
    const Minibatch batch = MadeBatch(spaces, agent, 12, random);
    const at::Tensor parameters = agent.parameters().all();
    {
      at::NoGradGuard no_grad;  // away from the policy that acted, so that some ratios are clipped
      parameters.add_(0.2 * Noise({parameters.numel()}, random));
    }
    const LossWeights weights{.clip = 0.1, .clip_value = 0.1, .entropy = 0.05};
    const PpoLoss loss = LossOf(agent, batch, weights);
    loss.total.backward();
    agent.Backward(loss.out);
    const at::Tensor gradient = agent.parameters().gradient();
    at::NoGradGuard no_grad;
    constexpr double kStep = 1e-6;
    for (int64_t i = 0; i < parameters.numel(); ++i) {
      double& value = parameters.data_ptr<double>()[i];
      const double before = value;
      value = before + kStep;
      const double above = LossOf(agent, batch, weights).total.item<double>();
      value = before - kStep;
      const double below = LossOf(agent, batch, weights).total.item<double>();
      value = before;
      EXPECT_NEAR(gradient.data_ptr<double>()[i], (above - below) / (2 * kStep), 2e-8) << i;
    }
  }
}

TEST(Loss, EntropyOfNoPreferenceIsTheLogarithmOfTheChoices) {
  const ActorCritic agent(kChoices, {4}, 1, 3, at::kDouble);
  const ActorCritic::Out out{.policy = at::zeros({2, 5}, at::kDouble)};
  at::Tensor allowed = at::ones({2, 5}, at::kBool);
  allowed[1][0] = false;
  const at::Tensor entropy = agent.Judge(out, at::ones({2, 2}, at::kDouble), allowed).entropy;
  EXPECT_NEAR(entropy[0].item<double>(), std::log(3.0) + std::log(2.0), 1e-12);
  EXPECT_NEAR(entropy[1].item<double>(), std::log(2.0) + std::log(2.0), 1e-12) << "of what is allowed";
}

TEST(Draw, FollowsTheSharesAndNeverAMask) {
  const std::vector<float> logits = {2, 9, 0, 1};
  const std::vector<uint8_t> allowed = {1, 0, 1, 1};
  Random random(5);
  std::vector<int> counts(4, 0);
  constexpr int kDraws = 100'000;
  double log_p = 0;
  for (int i = 0; i < kDraws; ++i) {
    size_t choice = 0;
    const double of_choice = DrawChoice(logits, allowed, random, &choice);
    if (choice == 3) log_p = of_choice;
    ++counts[choice];
  }
  const double all = std::exp(2) + 1 + std::exp(1);
  EXPECT_EQ(counts[1], 0);
  EXPECT_NEAR(counts[0], kDraws * std::exp(2) / all, 5 * std::sqrt(kDraws / 4.0));
  EXPECT_NEAR(log_p, 1 - std::log(all), 1e-6);
  EXPECT_EQ(BestChoice(logits, allowed), 0u);
}

TEST(Ppo, LearnsToNameWhatItSees) {
  Ppo run(Identity(),
          {.environments = 1,
           .rollout_steps = 64,
           .minibatch = 64,
           .epochs = 10,
           .gamma = 0.4,
           .lambda = 0.95,
           .learning_rate = 3e-3,
           .fall = false},
          3000, 1);
  while (!run.done()) run.Iterate();
  double mean = 0;
  for (const double sum : run.Evaluate(20, 99)) mean += sum / 20;
  EXPECT_GT(mean, 90);
}

class PpoResume : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Model, PpoResume, testing::Bool());

TEST_P(PpoResume, GoesOnFromItsStateAsIfNothingHadBeen) {
  PpoSettings settings{.environments = 4,
                       .rollout_steps = 16,
                       .minibatch = 32,
                       .epochs = 2,
                       .normalize_observations = true,
                       .normalize_rewards = true};
  if (GetParam()) settings.foresight = {.updates = 2, .courses = 4, .remembered = 2};
  const auto go_on = [&](Ppo& run, int iterations) {
    for (int i = 0; i < iterations; ++i) run.Iterate();
    run.BeginAnew();
  };
  Ppo whole(CartPole(), settings, 1000, 3), first(CartPole(), settings, 1000, 3), second(CartPole(), settings, 1000, 4);
  go_on(whole, 3);
  go_on(whole, 3);
  go_on(first, 3);
  const NamedArrays state = first.State();
  Ppo rest(CartPole(), settings, 1000, 3);
  rest.Restore(state);
  rest.BeginAnew();
  go_on(rest, 3);
  const NamedArrays at_end = whole.State(), again = rest.State();
  for (const auto& [name, array] : at_end) EXPECT_EQ(array.values, again.at(name).values) << name;
  NamedArrays other = state;
  other.at("parameters").shape = {3};
  EXPECT_ERROR(second.Restore(other), "tensor \"parameters\": is [3]");
  if (!GetParam()) return;
  EXPECT_GT(at_end.at("model.descents").values[0], 0);
  other = state;
  other.erase("memory.steps");
  EXPECT_ERROR(second.Restore(other), "memory.steps");
}

// Rewards that are no number after some steps.
class Broken : public Environment {
 public:
  const Spaces& spaces() const override { return spaces_; }
  void Seed(uint64_t) override {}
  void Begin() override {}
  void Observe(std::span<float> observation, std::span<uint8_t>) override { observation[0] = 1; }
  Transition Step(std::span<const float>, std::span<float>) override {
    return {.reward = ++steps_ > 40 ? std::numeric_limits<double>::quiet_NaN() : 1.0};
  }

 private:
  Spaces spaces_{.observed = 1, .choices = {2}};
  int steps_ = 0;
};

TEST(Ppo, StopsAtWhatIsNoNumberAndKeepsTheLastGoodPolicy) {
  Ppo run([] { return std::make_unique<Broken>(); }, {.environments = 1, .rollout_steps = 32, .minibatch = 32}, 1000,
          1);
  run.Iterate();
  const NamedArrays before = run.Policy();
  EXPECT_ERROR(run.Iterate(), "not finite at step 64");
  for (const auto& [name, array] : run.Policy()) EXPECT_EQ(array.values, before.at(name).values);
}

TEST(Ppo, StopsWhereItsModelIsNoNumber) {
  PpoSettings settings{.environments = 2, .rollout_steps = 16, .minibatch = 32};
  settings.foresight = {.model = {.learning_rate = 1e30}};
  Ppo run(CartPole(), settings, 1000, 1);
  const NamedArrays before = run.Policy();
  EXPECT_ERROR(run.Iterate(), "world model: the loss or its gradient is not finite at step 32");
  for (const auto& [name, array] : run.Policy()) EXPECT_EQ(array.values, before.at(name).values);
}

}  // namespace
}  // namespace ecld::offload
