// A limit is kept by a mixture of actions: two states, two actions, and a cost whose mean must not be above 0.

#include <gtest/gtest.h>

#include <algorithm>

#include "core/random.h"
#include "offload/learn/ppo.h"

namespace ecld::offload {
namespace {

constexpr double kToSecond[2][2] = {{0.2, 0.7}, {0.4, 0.9}};  // [state][action]
constexpr double kReward[2][2] = {{0.1, 0.5}, {0.3, 1.0}};
constexpr double kCost[2][2] = {{-0.4, 0.0}, {-0.4, 0.6}};

struct Means {
  double reward = 0, cost = 0;
};

// In the long run, when the second action is taken with these chances.
Means MeansOf(double in_first, double in_second) {
  const auto mixed = [&](const double table[2][2], int state) {
    const double chance = state == 0 ? in_first : in_second;
    return (1 - chance) * table[state][0] + chance * table[state][1];
  };
  const double to = mixed(kToSecond, 0), stays = mixed(kToSecond, 1);
  const double share = to / (1 - stays + to);  // of the second state
  return {(1 - share) * mixed(kReward, 0) + share * mixed(kReward, 1),
          (1 - share) * mixed(kCost, 0) + share * mixed(kCost, 1)};
}

// The linear programme's optimum is a policy that mixes in one state at most: all of those, finely.
double BestWithinTheLimit() {
  double best = 0;
  constexpr int kFine = 20'000;
  for (int i = 0; i <= kFine; ++i) {
    const double chance = static_cast<double>(i) / kFine;
    for (const auto& [first, second] : {std::pair{chance, 0.0}, {chance, 1.0}, {0.0, chance}, {1.0, chance}})
      if (const Means means = MeansOf(first, second); means.cost <= 0) best = std::max(best, means.reward);
  }
  return best;
}

class TwoStates : public Environment {
 public:
  explicit TwoStates(int64_t* taken) : taken_(taken) {}

  const Spaces& spaces() const override { return spaces_; }
  void Seed(uint64_t seed) override { random_ = Random(seed); }
  void Begin() override { steps_ = state_ = 0; }
  void Observe(std::span<float> observation, std::span<uint8_t>) override {
    observation[0] = state_ == 0;
    observation[1] = state_ == 1;
  }
  Transition Step(std::span<const float> action, std::span<float> costs) override {
    const int taken = action[0] > 0.5f;
    ++taken_[2 * state_ + taken];
    costs[0] = static_cast<float>(kCost[state_][taken]);
    const double reward = kReward[state_][taken];
    state_ = random_.Uniform() < kToSecond[state_][taken];
    return {.reward = reward, .truncated = ++steps_ == 100};
  }

 private:
  Spaces spaces_{.observed = 2, .choices = {2}, .limits = {"cost"}};
  Random random_{0};
  int64_t* taken_;  // [state][action]
  int state_ = 0, steps_ = 0;
};

TEST(Limits, AMixedPolicyKeepsOneAndIsNearTheLinearProgramme) {
  int64_t taken[4] = {};
  Ppo run([&] { return std::make_unique<TwoStates>(taken); },
          {.environments = 16,
           .rollout_steps = 32,
           .minibatch = 512,
           .epochs = 4,
           .gamma = 0.95,
           .lambda = 0.95,
           .learning_rate = 1e-2,
           .entropy = 0.01,
           .hidden = {16},
           .reserve = 0.01},
          100'000, 1);
  while (!run.done()) run.Iterate();
  std::fill(taken, taken + 4, 0);
  run.Evaluate(200, 7, false);
  const auto share = [&](int state) {
    return static_cast<double>(taken[2 * state + 1]) / static_cast<double>(taken[2 * state] + taken[2 * state + 1]);
  };
  const Means means = MeansOf(share(0), share(1));
  const double best = BestWithinTheLimit();
  RecordProperty("reward_over_best", std::to_string(means.reward / best));
  RecordProperty("cost", std::to_string(means.cost));
  EXPECT_LE(means.cost, 0) << share(0) << " " << share(1);
  EXPECT_GE(means.reward, 0.95 * best);
  EXPECT_LT(best, MeansOf(1, 1).reward) << "the limit binds";
}

}  // namespace
}  // namespace ecld::offload
