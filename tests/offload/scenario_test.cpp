// Scenarios and what they name: read whole, or refused with place and reason.

#include "offload/scenario.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "core/files.h"
#include "offload/calibration.h"
#include "offload/simulator.h"
#include "offload/study.h"
#include "tests/offload/small_world.h"
#include "tests/testing/expect_error.h"

namespace ecld::offload {
namespace {

TEST(Scenario, IsReadWithEveryDefaultSaid) {
  const SmallWorld small(kPhoneModel, kEdgeModel);
  const Scenario scenario = ParseScenario(small.Text(), "small.yaml", {"weights.threshold=0.7", "devices.0.count=9"});
  EXPECT_EQ(scenario.devices[0].count, 9);
  EXPECT_EQ(scenario.weights.threshold, 0.7);
  EXPECT_EQ(scenario.servers[0].batch, 4);
  EXPECT_EQ(scenario.network_kind, "constant");
  for (const char* said : {"outside_share: 0.05", "calibration_share: 0.5", "B_per_tok: 4.5", "send_W: 1"})
    EXPECT_NE(scenario.resolved.find(said), std::string::npos) << said;
  EXPECT_EQ(ParseScenario(scenario.resolved, "again.yaml").resolved, scenario.resolved);
}

TEST(Scenario, RefusesWithLineAndPath) {
  const SmallWorld small(kPhoneModel, kEdgeModel);
  const auto with = [&](std::string from, std::string to) {
    std::string text = small.Text();
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
  };
  const auto refuses = [&](const char* from, const char* to, const char* why) {
    EXPECT_ERROR(ParseScenario(with(from, to), "small.yaml"), why);
  };
  refuses("version: 1", "version: 2",
          "small.yaml:1: version: version 2 is newer than this program reads, which is up to 1");
  refuses("version: 1\n", "", "small.yaml:1: \"version\" is missing");
  refuses("horizon_s: 100", "horizon_s: -1", "small.yaml:3: horizon_s: expected a number from");
  refuses("horizon_s: 100", "horizon_s: 100\nwarmup_s: 100", "warmup_s: 100 s leave nothing of horizon_s");
  refuses("horizon_s", "horizont_s", "\"horizon_s\" is missing");
  refuses("count: 2", "cuont: 2", "small.yaml:7: devices[0]: unknown key \"cuont\" (did you mean count?)");
  refuses("count: 2", "count: 0", "devices[0].count: expected a whole number from 1");
  refuses("memory_MB: 1", "memory_MB: 0", "small.yaml:8: devices[0].memory_MB: expected a number from");
  refuses("memory_MB: 1", "memory_MB: 1\n    energy_budget_J: 0", "devices[0].energy_budget_J: expected a number from");
  refuses("batch: 4", "batch: many", "servers[0].batch: expected a whole number");
  refuses("up_Mbps: 1", "up_Mbps: -1", "network.up_Mbps: expected a number from");
  refuses("kind: poisson", "kind: posion", "requests.kind: \"posion\" is not a choice here (did you mean poisson?)");
  refuses("name: small", "name: small\npolicies: [nearst]",
          "policies: there is no policy \"nearst\" (did you mean nearest?)");
  refuses("name: small", "name: small\nlimits: {accuracy: 2}", "limits.accuracy: expected a number from");
  refuses("name: small", "name: small\nitems: {tasks: [a, a]}", "items.tasks: names \"a\" twice");
  refuses("servers:\n", "servers: []\nunused:\n", "\"servers\" is missing: a list of one or more");
  EXPECT_ERROR(ParseScenario("", "empty.yaml"), "empty.yaml: \"version\" is missing");
  EXPECT_ERROR(ParseScenario(small.Text() + "x: 1\n", "small.yaml"), "unknown key \"x\"");
}

TEST(Scenario, ShippedOnesAreRead) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("offload/scenarios")) {
    EXPECT_NO_THROW(ParseStudy(ReadTextFile(entry.path()), entry.path().string())) << entry.path();
    ++count;
  }
  EXPECT_GE(count, 3);
}

TEST(World, RefusesProfilesThatDoNotHaveWhatIsAsked) {
  const SmallWorld small(kPhoneModel, kEdgeModel);
  EXPECT_ERROR(small.Load(kWithItems), "uncertainty_items, and so no answers");
  EXPECT_ERROR(small.Load({"servers.0.profile=nowhere"}), "nowhere");
  EXPECT_ERROR(small.Load({"servers.0.as=l5"}), "has no device \"l5\" (did you mean l4");
  EXPECT_ERROR(small.Load({"servers.0.as=raspberry-pi-5-8gb"}),
               "lacks mem_GBps or fp16_TFLOPS: its times cannot be modelled");
  EXPECT_ERROR(small.Load({"devices.0.memory_MB=0.001"}), "small.yaml:9: devices[0].variants[0].profile");
  EXPECT_ERROR(small.Load({"devices.0.memory_MB=0.001"}), "do not fit into memory_MB of \"phone\"");
  EXPECT_ERROR(small.Load({"servers.0.cache_MB=0.001"}), "servers[0].profile");
  EXPECT_ERROR(small.Load({"servers.0.cache_MB=0.001"}), "the caches of one request take 0.0 MB; cache_MB of \"edge\"");
  EXPECT_ERROR(small.Load({"limits.accuracy=0.5"}), "limits.accuracy is set, and no item of tiny-w4 was judged for it");
  EXPECT_ERROR(Simulate(small.Load(), "threshold", {}), "policy threshold asks how sure the device is, and no tasks");
  DeviceProfile empty = ProfileOf(kEdgeModel);
  empty.tables.erase("phase");
  WriteProfile(small.dir() / "server", empty);
  EXPECT_ERROR(small.Load(), "the profile has no table phase");
  MadeModel no_energy = kPhoneModel;
  no_energy.prompt_J = no_energy.step_J = -1;
  WriteProfile(small.dir() / "server", ProfileOf(kEdgeModel));
  WriteProfile(small.dir() / "device", ProfileOf(no_energy));
  EXPECT_ERROR(small.Load({"devices.0.energy_budget_J=1"}), "the profile has no energy; give power_W");
  const World modelled = small.Load({"devices.0.energy_budget_J=1", "devices.0.power_W=3"});
  EXPECT_EQ(modelled.modelled[0], "energy of \"phone\": 3 W while it runs");
  EXPECT_NEAR(Simulate(modelled, "local", {}).most_device_joules, 3 * 0.15, 1e-9);
  EXPECT_FALSE(Simulate(small.Load(), "local", {}).energy_known);
  const World as_l4 =
      small.Load({fmt::format("devices.0.variants=[{{profile: {}/device, as: l4}}]", small.dir().path().string())});
  EXPECT_EQ(as_l4.modelled[0], "times of tiny-w4 on \"phone\": roofline of l4");
  EXPECT_EQ(as_l4.modelled[1], "energy of \"phone\": 72 W while it runs") << "the most that the catalogue gives it";
}

TEST(World, RefusesItemsThatDoNotJoinWithTheirNumber) {
  MadeModel phone = kPhoneModel, edge = kEdgeModel;
  phone.items = DeviceItems(30);
  edge.items = ServerItems(27);
  const SmallWorld small(phone, edge);
  EXPECT_ERROR(small.Load(kWithItems),
               "3 items of quiz are in one of tiny-w4 and tiny only, the first of them quiz/27");
  EXPECT_ERROR(small.Load({"items.tasks=[piqa]"}), "the profile has no answers to task \"piqa\"");
  WriteProfile(small.dir() / "server", ProfileOf({.id = "tiny", .items = ServerItems(30)}));
  EXPECT_EQ(small.Load(kWithItems).drawn.size(), 15u);
  EXPECT_ERROR(small.Load({kWithItems[0], "items.uncertainty=last"}), "item quiz/0 has no uncertainty by \"last\"");
  WriteProfile(small.dir() / "device", ProfileOf({.id = "tiny-w4", .items = DeviceItems(1)}));
  WriteProfile(small.dir() / "server", ProfileOf({.id = "tiny", .items = ServerItems(1)}));
  EXPECT_ERROR(small.Load(kWithItems), "1 items of quiz cannot be parted");
}

TEST(World, ATraceMustLastUntilTheHorizon) {
  const SmallWorld small(kPhoneModel, kEdgeModel);
  const std::string file = (small.dir() / "trace.csv").string();
  WriteFileAtomically(file,
                      "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 23:59:58,5,4\n2023-11-16 23:59:59,5,4\n");
  EXPECT_ERROR(small.Load({fmt::format("requests={{kind: trace, file: {}}}", file)}),
               "horizon_s is 100, and the trace of requests ends after 1.0 s");
}

TEST(World, ACatalogueDeviceIsModelledByItsRoofline) {
  const SmallWorld small(kPhoneModel, kEdgeModel);
  const World world = small.Load({"servers.0.as=l4"});
  EXPECT_EQ(world.modelled[0], "times of tiny on \"edge\": roofline of l4");
  PhaseTimes times(world.servers[0].answerer.model, {});
  // 1000 bytes and 1000 parameters; 100 tokens of 128 bytes in the cache; 300 GB/s, 121 TFLOPS.
  EXPECT_NEAR(times.PromptSeconds(100), (1000 + 12800) / 300e9, 1e-15);
  EXPECT_NEAR(times.StepSeconds(100, 4), (1000 + 4 * 12800) / 300e9, 1e-15);
  EXPECT_NEAR(times.StepSeconds(1, 1'000'000), (1000 + 128e6) / 300e9, 1e-12);
  EXPECT_EQ(times.outside(), 0);
}

TEST(Calibration, PoolsWhatIsOutOfOrder) {
  const CalibrationOf of{"weights", "quiz", "mean", 1};
  // Those at 0.2 and 0.3 are out of order: they pool to 1/2.
  const Calibration right(of, {{0.9, false}, {0.1, true}, {0.2, false}, {0.3, true}, {0.8, false}},
                          Calibration::Falls::kFalling);
  EXPECT_DOUBLE_EQ(right.At(of, 0.0), 1);
  EXPECT_DOUBLE_EQ(right.At(of, 1.0), 0);
  for (const double within : {0.2, 0.25, 0.3}) EXPECT_DOUBLE_EQ(right.At(of, within), 0.5);
  EXPECT_DOUBLE_EQ(right.At(of, 0.15), 0.75);
  double before = 1;
  for (int i = 0; i <= 100; ++i) {
    EXPECT_LE(right.At(of, i / 100.0), before);
    before = right.At(of, i / 100.0);
  }
  EXPECT_DOUBLE_EQ(right.mean(), 0.4);
  EXPECT_ERROR(right.At({"other", "quiz", "mean", 1}, 0.5), "calibration: is of weights weights on quiz by mean");
  EXPECT_ERROR(right.At({"weights", "quiz", "mean", 0.5}, 0.5), "at temperature 1, not of");
  EXPECT_ERROR(right.At({"weights", "piqa", "mean", 1}, 0.5), "on piqa");
}

TEST(Calibration, IsTrueOnAverageAndHeldOut) {
  const SmallWorld small = WorldWithItems(1000);
  const World world = small.Load(kWithItems);
  ASSERT_TRUE(world.calibration_error);
  EXPECT_LT(*world.calibration_error, 0.1);
  const std::vector<std::pair<double, bool>> foretold = {{0.25, true}, {0.25, false}, {0.85, true}};
  EXPECT_NEAR(CalibrationError(foretold), (0.5 + 0.15) / 3, 1e-12);
}

}  // namespace
}  // namespace ecld::offload
