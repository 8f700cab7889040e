// What is imagined with a model that knows all is what dynamic programming says; one that knows nothing does no harm.

#include "offload/learn/foresight.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "core/random.h"
#include "offload/learn/ppo.h"

namespace ecld::offload {
namespace {

constexpr int64_t kStates = 3;
using Vector = std::array<double, kStates>;

// A table: an observation is the chance of being in each state, which is exact since all is linear in it.
constexpr double kTo[2][kStates][kStates] = {{{0.7, 0.2, 0.1}, {0.1, 0.6, 0.3}, {0.3, 0.3, 0.4}},
                                             {{0.1, 0.1, 0.8}, {0.5, 0.5, 0.0}, {0.0, 0.9, 0.1}}};
constexpr Vector kRewards[2] = {{1, -2, 0.5}, {0.2, 3, -1}};
constexpr double kGoesOn[2] = {1, 0.8}, kGamma = 0.9;
constexpr Vector kCritic = {4, -1, 2};

class Table : public Model {
 public:
  Foreseen Foresee(const at::Tensor& state, const at::Tensor& observations, const at::Tensor& actions) const override {
    const int64_t n = observations.size(1);
    Foreseen next{state, at::zeros({1, n, kStates}), at::zeros({1, n, 1}), at::zeros({1, n})};
    for (int64_t i = 0; i < n; ++i) {
      const auto action = static_cast<size_t>(actions[0][i][0].item<float>());
      double reward = 0;
      for (int64_t from = 0; from < kStates; ++from) {
        const double chance = observations[0][i][from].item<double>();
        reward += chance * kRewards[action][from];
        for (int64_t to = 0; to < kStates; ++to) next.observations[0][i][to] += chance * kTo[action][from][to];
      }
      next.rewards[0][i][0] = reward;
      next.goes_on[0][i] = kGoesOn[action];
    }
    return next;
  }
};

// The lambda-return to a horizon from each state by dynamic programming, the second action taken with this chance.
Vector ByProgramming(int64_t horizon, double lambda, double second) {
  Vector ahead = kCritic;
  for (int64_t k = 0; k < horizon; ++k) {
    Vector now{};
    for (size_t from = 0; from < kStates; ++from)
      for (const size_t action : {0u, 1u}) {
        double next = 0;
        for (size_t to = 0; to < kStates; ++to)
          next += kTo[action][from][to] * ((1 - lambda) * kCritic[to] + lambda * ahead[to]);
        now[from] += (action ? second : 1 - second) * (kRewards[action][from] + kGamma * kGoesOn[action] * next);
      }
    ahead = now;
  }
  return ahead;
}

// No preference, and the critic above.
ActorCritic TableAgent() {
  ActorCritic agent({.observed = kStates, .choices = {2}}, {}, 1, 1);
  at::NoGradGuard no_grad;
  agent.LayerParameter(0, false).zero_();
  agent.LayerParameter(1, false).copy_(at::tensor({kCritic[0], kCritic[1], kCritic[2]}).view({1, kStates}));
  return agent;
}

TEST(Imagination, IsDynamicProgrammingWhereTheModelIsExact) {
  const ActorCritic agent = TableAgent();
  for (const int64_t horizon : {1, 3, 5})
    for (const double lambda : {0.0, 0.6, 1.0})
      for (const bool second : {false, true}) {
        const at::Tensor allowed = at::tensor({second ? 0 : 1, second ? 1 : 0}, at::kByte).repeat({kStates, 1});
        Random random(1);
        const Imagined imagined = Imagine(Table(), agent, {at::zeros({1, kStates, 1}), at::eye(kStates), allowed},
                                          {.horizon = horizon, .gamma = kGamma, .lambda = lambda}, &random);
        const Vector right = ByProgramming(horizon, lambda, second);
        for (int64_t i = 0; i < kStates; ++i) {
          EXPECT_NEAR(imagined.returns[0][0][i][0].item<double>(), right[static_cast<size_t>(i)], 1e-5)
              << horizon << " " << lambda;
          EXPECT_NEAR(imagined.values[0][0][i][0].item<double>(), kCritic[static_cast<size_t>(i)], 1e-6);
        }
      }
}

TEST(Imagination, IsThatInTheMeanWhereThePolicyDraws) {
  constexpr int64_t kDraws = 400;
  const ActorCritic agent = TableAgent();
  Random random(2);
  const Imagined imagined =
      Imagine(Table(), agent,
              {at::zeros({1, kDraws, 1}), at::eye(kStates)[1].repeat({kDraws, 1}), at::ones({kDraws, 2}, at::kByte)},
              {.horizon = 3, .gamma = kGamma, .lambda = 1}, &random);
  const at::Tensor returns = imagined.returns[0].flatten();
  const double error = returns.std().item<double>() / std::sqrt(kDraws);
  EXPECT_NEAR(returns.mean().item<double>(), ByProgramming(3, 1, 0.5)[1], 4 * error);
  EXPECT_NEAR(imagined.log_p.mean().item<double>(), std::log(0.5), 1e-6);
}

double TrustIn(const at::Tensor& missed, const at::Tensor& added) { return Trust().In(missed, added); }

TEST(Trust, IsWhatTheModelMakesUp) {
  Random random(3);
  at::Tensor added = at::empty({2000}), noise = at::empty({2000});
  for (int64_t i = 0; i < 2000; ++i) {
    added.data_ptr<float>()[i] = static_cast<float>(random.Normal());
    noise.data_ptr<float>()[i] = static_cast<float>(2 * random.Normal());
  }
  EXPECT_NEAR(TrustIn(0.5 * added + noise, added), 0.5 - 2 * 2 / std::sqrt(2000), 0.1);
  EXPECT_NEAR(TrustIn(added, added), 1, 1e-6);
  EXPECT_EQ(TrustIn(3 * added, added), 1) << "never more than it says";
  EXPECT_EQ(TrustIn(noise - added, added), 0) << "the wrong thing";
  EXPECT_EQ(TrustIn(noise, at::zeros({2000})), 0) << "nothing";
  EXPECT_LT(TrustIn(noise, added), 0.05) << "anything";
  Trust trust;
  trust.In(0.5 * added + noise, added);
  EXPECT_GT(trust.In(0.5 * added + noise, added), TrustIn(0.5 * added + noise, added)) << "surer with more";
  for (int i = 0; i < 20; ++i) trust.In(-added, added);
  EXPECT_EQ(trust.In(-added, added), 0) << "what was is forgotten";
}

// Three levers, of which the last is best, or the first; what is seen says nothing.
class Levers : public Environment {
 public:
  explicit Levers(bool first_is_best) : first_is_best_(first_is_best) {}

  const Spaces& spaces() const override { return spaces_; }
  void Seed(uint64_t seed) override { random_ = Random(seed); }
  void Begin() override { steps_ = 0; }
  void Observe(std::span<float> observation, std::span<uint8_t>) override {
    observation[0] = static_cast<float>(random_.Uniform());
  }
  Transition Step(std::span<const float> action, std::span<float>) override {
    const double reward = action[0] / 2 + 0.1 * random_.Normal();
    return {.reward = first_is_best_ ? 1 - reward : reward, .truncated = ++steps_ == 100};
  }

 private:
  const Spaces spaces_{.observed = 1, .choices = {3}};
  bool first_is_best_;
  int steps_ = 0;
  Random random_{0};
};

PpoSettings Pulling(const std::optional<ForesightSettings>& foresight) {
  return {.environments = 4,
          .rollout_steps = 32,
          .minibatch = 64,
          .epochs = 8,
          .gamma = 0.4,
          .lambda = 0.95,
          .learning_rate = 1e-3,
          .fall = false,
          .foresight = foresight};
}

struct Result {
  double mean = 0, value_trust = 0, imagined_share = 0;  // of the policy at the end; of all rollouts
};

Result Learn(Ppo& run) {
  Result outcome;
  constexpr int kRollouts = 24;
  for (int i = 0; i < kRollouts; ++i) {
    const PpoReport report = run.Iterate();
    outcome.value_trust += report.value_trust / kRollouts;
    outcome.imagined_share += report.imagined_share / kRollouts;
  }
  for (const double sum : run.Evaluate(10, 99)) outcome.mean += sum / 10;
  return outcome;
}

constexpr ForesightSettings kSmall{.updates = 4, .courses = 8, .model = {.hidden = 8, .learning_rate = 1e-2}};

TEST(Foresight, OfAWrongModelDoesNoHarm) {
  const auto levers = [] { return std::make_unique<Levers>(false); };
  Ppo plain(levers, Pulling(std::nullopt), 3000, 1), helped(levers, Pulling(kSmall), 3000, 1);
  const Result without = Learn(plain), right = Learn(helped);
  // The model of one who has learned where the first is best, and learns no more.
  Ppo elsewhere([] { return std::make_unique<Levers>(true); }, Pulling(kSmall), 3000, 1);
  Learn(elsewhere);
  ForesightSettings fixed = kSmall;
  fixed.updates = 0;
  Ppo misled(levers, Pulling(fixed), 3000, 1);
  NamedArrays state = misled.State();
  for (const auto& [name, array] : elsewhere.State())
    if (name.starts_with("model.")) state[name] = array;
  misled.Restore(state);
  const Result wrong = Learn(misled);
  RecordProperty("without", std::to_string(without.mean));
  for (const auto& [name, of] : {std::pair("right", right), {"wrong", wrong}})
    RecordProperty(name, fmt::format("{} {} {}", of.mean, of.value_trust, of.imagined_share));
  EXPECT_GT(without.mean, 90);
  EXPECT_GE(right.mean, without.mean - 1);
  EXPECT_GT(right.imagined_share, 0.1);
  EXPECT_GE(wrong.mean, without.mean - 1);
  EXPECT_LT(wrong.imagined_share, 0.5 * right.imagined_share);
  EXPECT_LT(wrong.value_trust, 0.5 * right.value_trust);
}

}  // namespace
}  // namespace ecld::offload
