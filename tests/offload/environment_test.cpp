// The simulator as an environment, and the policies that were learned in it.

#include <gtest/gtest.h>

#include "core/files.h"
#include "core/random.h"
#include "offload/learned_policy.h"
#include "offload/offload_environment.h"
#include "offload/simulator.h"
#include "tests/offload/small_world.h"
#include "tests/testing/expect_error.h"

namespace ecld::offload {
namespace {

const std::vector<std::string> kLimited = {kWithItems[0], "limits.accuracy=0.7", "limits.hallucination=0.2",
                                           "devices.0.energy_budget_J=0.7", "epoch_ms=50"};

TEST(OffloadEnvironment, AnEpisodeIsARunOfItsPolicy) {
  const SmallWorld small = WorldWithItems();
  const World world = small.Load(kLimited);
  for (const auto& [choice, policy] : {std::pair{0, "local"}, {1, "nearest"}}) {
    EnvironmentBatch batch(OffloadEnvironments(world), 1);
    EXPECT_EQ(batch.spaces().limits, (std::vector<std::string>{"energy", "accuracy", "hallucination"}));
    batch.Reset(4);
    ecld::Random seeds(ecld::Random(4).Next());
    int64_t steps = 0;
    double reward = 0;
    std::vector<double> costs(3, 0);
    do {
      batch.Step(std::vector<float>{static_cast<float>(choice)});
      ++steps;
      reward += batch.frame().rewards[0];
      for (size_t i = 0; i < 3; ++i) costs[i] += batch.frame().costs[i];
    } while (!batch.frame().truncated[0]);
    EXPECT_FALSE(batch.frame().terminated[0]);
    const RunResult run = Simulate(world, policy, {.seed = seeds.Next() >> 1});
    EXPECT_EQ(steps, run.completed) << policy;
    EXPECT_NEAR(-reward, run.all_latencies_s, 1e-4 * run.all_latencies_s);
    const auto n = static_cast<double>(run.completed);
    EXPECT_NEAR(costs[0] / n, run.joules / n / 0.7 - 1, 1e-4);
    EXPECT_NEAR(costs[1] / n, 0.7 - static_cast<double>(run.right_in_time) / n, 1e-4);
    EXPECT_NEAR(costs[2] / n, static_cast<double>(run.hallucinated) / n - 0.2, 1e-4);
  }
}

TEST(OffloadEnvironment, WhatCannotBeDoneIsNotAllowed) {
  const SmallWorld small = WorldWithItems();
  const std::string two = small.dir().path().string();
  const World world = small.Load(
      {fmt::format("devices=[{{name: a, memory_MB: 1, variants: [{{profile: {0}/device}}]}}, "
                   "{{name: b, memory_MB: 1, variants: [{{profile: {0}/device}}, {{profile: {0}/server}}]}}]",
                   two)});
  EnvironmentBatch batch(OffloadEnvironments(world), 1);
  batch.Reset(1);
  bool one = false, both = false;
  for (int i = 0; i < 50; ++i) {
    const std::vector<uint8_t> allowed = batch.frame().allowed;
    ASSERT_EQ(allowed.size(), 3u);
    EXPECT_TRUE(allowed[0] && allowed[2]);
    (allowed[1] ? both : one) = true;
    batch.Step(std::vector<float>{0});
  }
  EXPECT_TRUE(one && both);
}

// A policy that prefers a choice, whatever it sees.
NamedArrays Preferring(DecisionShape shape, size_t choice) {
  const auto observed = static_cast<int64_t>(shape.observed()), choices = static_cast<int64_t>(shape.choices());
  NamedArrays arrays;
  arrays["observed.mean"] = {{observed}, std::vector<double>(shape.observed(), 0)};
  arrays["observed.scale"] = {{observed}, std::vector<double>(shape.observed(), 1)};
  arrays["policy.0.weight"] = {{choices, observed}, std::vector<double>(shape.observed() * shape.choices(), 0)};
  arrays["policy.0.bias"] = {{choices}, std::vector<double>(shape.choices(), 0)};
  arrays["policy.0.bias"].values[choice] = 1;
  return arrays;
}

TEST(LearnedPolicy, IsRunAsAnyOther) {
  const SmallWorld small = WorldWithItems();
  const World world = small.Load();
  for (const auto& [choice, policy] : {std::pair{size_t{0}, "local"}, {size_t{1}, "nearest"}}) {
    WriteLearnedPolicy(small.dir() / "learned", ShapeOf(world), Preferring(ShapeOf(world), choice), Json::object());
    const RunResult learned = Simulate(world, "learned:" + (small.dir() / "learned").string(), {});
    const RunResult same = Simulate(world, policy, {});
    EXPECT_EQ(learned.latency_sum_s, same.latency_sum_s);
    EXPECT_EQ(learned.offloaded, same.offloaded);
  }
}

TEST(LearnedPolicy, RefusesWhatItCannotRun) {
  const SmallWorld small = WorldWithItems();
  const World world = small.Load();
  const auto folder = small.dir() / "learned";
  const std::string policy = "learned:" + folder.string();
  EXPECT_ERROR(Simulate(world, policy, {}), "policy.json");
  const DecisionShape other{.variants = 1, .servers = 3};
  WriteLearnedPolicy(folder, other, Preferring(other, 0), Json::object());
  EXPECT_ERROR(Simulate(world, policy, {}),
               "was learned where devices hold 1 variants at most and there are 3 servers, not 1 and 1");
  NamedArrays arrays = Preferring(ShapeOf(world), 0);
  arrays["policy.0.weight"].shape[1] += 1;
  arrays["policy.0.weight"].values.resize(arrays["policy.0.weight"].values.size() + 2);
  WriteLearnedPolicy(folder, ShapeOf(world), arrays, Json::object());
  EXPECT_ERROR(Simulate(world, policy, {}), "tensor \"policy.0.weight\": is [2, 20], [2, 19] would be right");
  arrays = Preferring(ShapeOf(world), 0);
  arrays["observed.mean"].values[0] = std::nan("");
  WriteLearnedPolicy(folder, ShapeOf(world), arrays, Json::object());
  EXPECT_ERROR(Simulate(world, policy, {}), "holds NaN or infinity");
  WriteFileAtomically(
      folder / "policy.json",
      R"({"schema": "ecld.policy", "schema_version": "2.0.0", "shape": {"variants": 1, "servers": 1}})");
  EXPECT_ERROR(Simulate(world, policy, {}), "schema_version");
}

}  // namespace
}  // namespace ecld::offload
