// Learning who runs what, where: on the simulator, and then without Torch.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/random.h"
#include "offload/learn/ppo.h"
#include "offload/learned_policy.h"
#include "offload/offload_environment.h"
#include "offload/simulator.h"
#include "tests/offload/small_world.h"

namespace ecld::offload {
namespace {

double MeanLatency(const World& world, const std::string& policy) {
  double sum_s = 0, count = 0;
  for (uint64_t seed = 900; seed < 905; ++seed) {
    const RunResult run = Simulate(world, policy, {.seed = seed});
    sum_s += run.latency_sum_s;
    count += static_cast<double>(run.measured);
  }
  return sum_s / count;
}

TEST(LearnedOffloading, IsQuickerThanAnyPlaceForAllAndTheSameWithoutTorch) {
  // The device takes 0.15 s, the server 20 ms on a link that four requests in a second fill to the half.
  const SmallWorld small = WorldWithItems();
  const World world =
      small.Load({kWithItems[0], "requests.rate_per_s=4", "network.up_Mbps=0.05", "horizon_s=30", "warmup_s=0"});
  Ppo run(OffloadEnvironments(world),
          {.environments = 8,
           .rollout_steps = 64,
           .minibatch = 256,
           .epochs = 6,
           .gamma = 0.9,
           .lambda = 0.9,
           .learning_rate = 2e-3,
           .normalize_observations = true,
           .normalize_rewards = true},
          20'000, 1);
  while (!run.done()) run.Iterate();
  const auto folder = small.dir() / "learned";
  WriteLearnedPolicy(folder, ShapeOf(world), run.Policy(), Json::object());
  const double learned = MeanLatency(world, "learned:" + folder.string());
  const double best =
      std::min({MeanLatency(world, "local"), MeanLatency(world, "nearest"), MeanLatency(world, "random")});
  RecordProperty("learned_over_best", std::to_string(learned / best));
  RecordProperty("latency_policy_over_best", std::to_string(MeanLatency(world, "latency") / best));
  EXPECT_LT(learned, best);

  const PolicyNetwork network(ReadArrays(folder / "policy.safetensors"), ShapeOf(world).observed(), 2, "test");
  EnvironmentBatch batch(OffloadEnvironments(world), 4);
  batch.Reset(5);
  ecld::Random random(5);
  for (int step = 0; step < 200; ++step) {
    const std::vector<float> observations = batch.frame().observations, out = run.Outputs(observations);
    for (size_t i = 0; i < 4; ++i) {
      const size_t width = observations.size() / 4;
      const std::vector<float> alone = network.Run(std::span(observations).subspan(i * width, width));
      for (size_t choice = 0; choice < 2; ++choice)
        EXPECT_NEAR(alone[choice], out[2 * i + choice], 1e-5 * std::max(1.0f, std::abs(out[2 * i + choice])));
    }
    std::vector<float> actions(4);
    for (float& action : actions) action = static_cast<float>(random.Below(2));
    batch.Step(actions);
  }
}

}  // namespace
}  // namespace ecld::offload
