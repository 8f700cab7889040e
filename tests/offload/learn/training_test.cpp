// Training from beginning to end: what is written, and that a stop changes nothing of it.

#include "offload/learn/training.h"

#include <gtest/gtest.h>

#include "core/files.h"
#include "offload/simulator.h"
#include "tests/offload/small_world.h"
#include "tests/testing/expect_error.h"

namespace ecld::offload {
namespace {

PpoSettings Short() {
  PpoSettings settings = OffloadSettings();
  settings.environments = 4;
  settings.rollout_steps = 16;
  settings.minibatch = 64;
  settings.epochs = 1;
  settings.hidden = {8};
  return settings;
}

TEST(Training, AStopChangesNothing) {
  const SmallWorld small = WorldWithItems(20);
  const World world = small.Load({kWithItems[0], "horizon_s=20", "limits.accuracy=0.6"});
  const std::filesystem::path whole = small.dir() / "whole", halves = small.dir() / "halves";
  const TrainingOptions options{.out = whole, .steps = 1600, .seeds = 2, .tried = 2};
  const Json result = Train(world, Short(), options);
  TrainingOptions stopped = options;
  stopped.out = halves;
  int saves = 0;
  stopped.on_saved = [&](int64_t) {
    if (++saves == 2 || saves == 5) throw std::runtime_error("stopped");
  };
  EXPECT_THROW(Train(world, Short(), stopped), std::runtime_error);
  EXPECT_THROW(Train(world, Short(), stopped), std::runtime_error);
  EXPECT_EQ(Train(world, Short(), stopped), result);
  for (const char* name : {"policy.safetensors", "curves.csv", "curves.svg", "training.json", "seed-1/policy.json",
                           "seed-1/curve.csv", "seed-2/policy.safetensors"})
    EXPECT_EQ(ReadFile(whole / name), ReadFile(halves / name)) << name;
  EXPECT_TRUE(ReadFile(whole / "seed-1/curve.csv")
                  .starts_with("steps,latency_s,episode_return,cost_accuracy,price_accuracy,policy_loss"));
  EXPECT_EQ(Simulate(world, "learned:" + whole.string(), {}).completed, Simulate(world, "local", {}).completed);

  PpoSettings other = Short();
  other.foresight.emplace();
  EXPECT_ERROR(Train(world, other, options), "holds a training of another scenario");
  EXPECT_ERROR(Train(small.Load({kWithItems[0], "horizon_s=30"}), Short(), options),
               "holds a training of another scenario");
}

TEST(Training, WithAModelEndsInTheSameAfterAStop) {
  const SmallWorld small = WorldWithItems(20);
  const World world = small.Load({kWithItems[0], "horizon_s=20", "limits.accuracy=0.6"});
  PpoSettings settings = Short();
  settings.foresight = {.updates = 1, .courses = 4, .remembered = 2, .model = {.hidden = 4}};
  TrainingOptions options{.out = small.dir() / "whole", .steps = 1600, .seeds = 1, .tried = 1};
  const Json result = Train(world, settings, options);
  options.out = small.dir() / "halves";
  options.on_saved = [&, saves = 0](int64_t) mutable {
    if (++saves == 2) throw std::runtime_error("stopped");
  };
  EXPECT_THROW(Train(world, settings, options), std::runtime_error);
  options.on_saved = nullptr;
  EXPECT_EQ(Train(world, settings, options), result);
  for (const char* name : {"policy.safetensors", "curves.csv", "seed-1/curve.csv", "seed-1/state.safetensors"})
    EXPECT_EQ(ReadFile(small.dir() / "whole" / name), ReadFile(small.dir() / "halves" / name)) << name;
  const std::string curve = ReadFile(small.dir() / "whole/seed-1/curve.csv");
  EXPECT_NE(curve.find(",kl,model_error,value_trust,imagined_share\n"), std::string::npos);
}

}  // namespace
}  // namespace ecld::offload
