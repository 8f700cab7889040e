// Whole runs: closed forms, books that balance, what policies bring and cost.

#include "offload/simulator.h"

#include <gtest/gtest.h>

#include <set>

#include "core/files.h"
#include "core/intervals.h"
#include "offload/experiment.h"
#include "offload/policies.h"
#include "tests/offload/small_world.h"
#include "tests/testing/expect_error.h"

namespace ecld::offload {
namespace {

double MeanLatency(const RunResult& run) { return run.latency_sum_s / static_cast<double>(run.measured); }

// The mean wait of one device against Pollaczek and Khinchine's, over ten runs.
void ExpectWaits(const World& world, double rate, double mean_s, double second_moment) {
  std::vector<double> waits;
  for (uint64_t seed = 1; seed <= 10; ++seed)
    waits.push_back(MeanLatency(Simulate(world, "local", {.seed = seed})) - mean_s);
  const double expected = rate * second_moment / (2 * (1 - rate * mean_s));
  const MeanInterval mean = StudentInterval(waits);
  EXPECT_NEAR(mean.mean / expected, 1, 0.01);
  EXPECT_LT(mean.low, expected);
  EXPECT_GT(mean.high, expected);
}

TEST(Simulator, OneDeviceIsMD1) {
  // 50 ms and ten steps of 10 ms: 150 ms each; at 10/3 a second half of the time is spent.
  const SmallWorld small(kPhoneModel, kEdgeModel);
  const World world = small.Load({"devices.0.count=1", "requests.rate_per_s=3.3333333333", "horizon_s=15000"});
  ExpectWaits(world, 1 / 0.3, 0.15, 0.15 * 0.15);
}

TEST(Simulator, OneDeviceWithAnswersOfManyLengthsIsMG1) {
  MadeModel phone = kPhoneModel, edge = kEdgeModel;
  phone.prompt_ms = 0;
  for (size_t i = 0; i < 400; ++i) phone.items.push_back({.tok = 1 + static_cast<int64_t>(i * i % 97)});
  edge.items = phone.items;
  const SmallWorld small(phone, edge);
  std::vector<std::string> overrides = {"devices.0.count=1", "requests.rate_per_s=1", "horizon_s=120000"};
  overrides.push_back(kWithItems[0]);
  const World world = small.Load(overrides);
  double mean_s = 0, second_moment = 0;
  for (const size_t item : world.drawn) {
    const double run_s = 0.01 * static_cast<double>(*world.classes[0].variants[0].answers[item].tok);
    mean_s += run_s / static_cast<double>(world.drawn.size());
    second_moment += run_s * run_s / static_cast<double>(world.drawn.size());
  }
  ExpectWaits(world, 1, mean_s, second_moment);
}

TEST(Simulator, NothingIsLostOrDoneTwice) {
  const SmallWorld small = WorldWithItems();
  for (const Policy& policy : Policies()) {
    for (const char* epoch : {"epoch_ms=0", "epoch_ms=40"}) {
      const World world = small.Load({kWithItems[0], epoch, "devices.0.count=4"});
      std::set<uint64_t> done;
      const RunResult run = Simulate(world, policy.name, {.seed = 3, .on_request = [&](const RequestRecord& record) {
                                                            EXPECT_TRUE(done.insert(record.number).second)
                                                                << "done twice";
                                                            EXPECT_GE(record.done, record.arrived);
                                                          }});
      EXPECT_EQ(run.arrived, run.completed) << policy.name;
      EXPECT_EQ(done.size(), static_cast<size_t>(run.arrived)) << policy.name;
      EXPECT_GT(run.arrived, 600);
      EXPECT_TRUE(run.littles_law) << policy.name << ": " << run.under_way_s << " and " << run.all_latencies_s;
    }
  }
}

TEST(Simulator, TheSameSeedGivesTheSameBytes) {
  const SmallWorld small = WorldWithItems();
  const auto file = small.dir() / "small.yaml";
  WriteFileAtomically(file, small.Text());
  const auto bytes = [&](int threads, const char* seed) {
    const ExperimentOptions options{.scenario = file.string(),
                                    .overrides = {kWithItems[0], seed, "horizon_s=20"},
                                    .policies = {"local", "random", "goa", "drift"},
                                    .queue_samples = 10,
                                    .threads = threads};
    return ToJson(RunExperiment(options)).dump();
  };
  const std::string once = bytes(1, "seed=1");
  EXPECT_EQ(bytes(1, "seed=1"), once);
  EXPECT_EQ(bytes(3, "seed=1"), once);
  EXPECT_NE(bytes(1, "seed=9"), once);
}

TEST(Simulator, EnergyIsThatOfTheTables) {
  const SmallWorld small(kPhoneModel, kEdgeModel);
  const World world = small.Load({"devices.0.send_W=2"});
  RunResult run = Simulate(world, "local", {});
  EXPECT_NEAR(run.joules, static_cast<double>(run.measured) * (0.5 + 10 * 0.1), 1e-9 * run.joules);
  // Alone on the band, 100 tokens of 36 bits take 3.6 ms.
  const World quiet = small.Load({"devices.0.send_W=2", "devices.0.count=1", "requests.rate_per_s=0.2"});
  run = Simulate(quiet, "nearest", {});
  EXPECT_NEAR(run.joules, static_cast<double>(run.measured) * 2 * 0.0036, 1e-6 * run.joules);
  EXPECT_NEAR(run.latency.Quantile(0.5), 0.0036 + 0.02 + 0.005 + 10 * 0.001 + 10 * 36 / 10e6, 1e-4);
}

TEST(Simulator, WhatWasMeasuredOfAnItemComesOut) {
  const SmallWorld small = WorldWithItems();
  const World world = small.Load({kWithItems[0], "limits.deadline_s=0.2", "horizon_s=200"});
  int64_t right = 0, in_time = 0, requests = 0;
  const RunResult run = Simulate(world, "random", {.on_request = [&](const RequestRecord& record) {
                                   const auto& answerer = record.place == kLocal ? world.classes[0].variants[0]
                                                                                 : world.servers[0].answerer;
                                   EXPECT_EQ(record.right, answerer.answers[record.item].right);
                                   EXPECT_EQ(record.answer_tok, *answerer.answers[record.item].tok);
                                   ++requests;
                                   right += *record.right;
                                   in_time += *record.right && Seconds(record.done - record.arrived) <= 0.2;
                                 }});
  EXPECT_EQ(run.judged_right, requests);
  EXPECT_EQ(run.right, right);
  EXPECT_EQ(run.right_in_time, in_time);
  EXPECT_LT(in_time, right);
  EXPECT_GT(in_time, 0);
}

TEST(Simulator, ACascadePaysForItsWastedLeg) {
  MadeModel phone = kPhoneModel, edge = kEdgeModel;
  phone.items = DeviceItems(100);
  edge.items = ServerItems(100);
  for (MadeItem& item : phone.items) item.right = false;
  const SmallWorld small(phone, edge);
  const World world = small.Load({kWithItems[0], "weights.threshold=1", "items.uncertainty=mean",
                                  "requests.rate_per_s=0.1", "horizon_s=2000", "devices.0.send_W=0"});
  // Nothing is sure enough: each request runs here whole, then there.
  const RunResult both = Simulate(world, "threshold", {});
  const RunResult there = Simulate(world, "nearest", {});
  const RunResult here = Simulate(world, "local", {});
  EXPECT_EQ(both.offloaded, both.measured);
  EXPECT_EQ(both.probed_in_vain, both.measured);
  EXPECT_NEAR(MeanLatency(both), MeanLatency(here) + MeanLatency(there), 0.01);
  EXPECT_NEAR(both.joules, here.joules, 1e-9 * here.joules);
  // The first token alone tells as much for less, and an answer that is good enough goes on.
  const World first = small.Load({kWithItems[0], "weights.threshold=0", "requests.rate_per_s=0.1", "horizon_s=2000"});
  const RunResult kept = Simulate(first, "threshold", {});
  EXPECT_EQ(kept.offloaded, 0);
  EXPECT_NEAR(MeanLatency(kept), MeanLatency(here), 1e-6);
  EXPECT_NEAR(kept.joules, here.joules, 1e-9 * here.joules);
}

TEST(Simulator, DriftKeepsABudgetThatLatencyAloneBreaks) {
  const SmallWorld small = WorldWithItems();
  // The link is slow, so that the device would be quicker; and its answers take more than the budget.
  const std::vector<std::string> overrides = {kWithItems[0], "network.rtt_ms=400", "devices.0.energy_budget_J=0.7",
                                              "requests.rate_per_s=0.5", "horizon_s=2000"};
  const World world = small.Load(overrides);
  const RunResult free = Simulate(world, "latency", {}), held = Simulate(world, "drift", {});
  EXPECT_LT(*free.least_energy_slack_J, 0);
  EXPECT_GT(*held.least_energy_slack_J, -0.02);
  EXPECT_GT(MeanLatency(held), MeanLatency(free));
  EXPECT_LT(held.offloaded, held.measured) << "no more than it must";
}

TEST(Simulator, ChangesOfTheModelTakeTheTimeOfLoading) {
  MadeModel other = kPhoneModel;
  other.id = "tiny-w3";
  other.step_ms = 9;
  const SmallWorld small(kPhoneModel, kEdgeModel);
  WriteProfile(small.dir() / "other", ProfileOf(other));
  const std::string variants =
      fmt::format("devices.0.variants=[{{profile: {0}/device}}, {{profile: {0}/other}}]", small.dir().path().string());
  // Two models of 1000 bytes, caches of 14 kB.
  EXPECT_ERROR(small.Load({variants, "devices.0.memory_MB=0.0155"}), "do not fit into its memory together");
  EXPECT_EQ(small.Load({variants}).classes[0].load_s, (std::vector<double>{0, 0}));
  DeviceProfile loaded = ProfileOf(other);
  Table load(FindTableSchema("load", "test"));
  load.AddRow();
  load.Set("from_state", std::string("disk"));
  load.Set("load_ms", 250.0);
  load.Set("src", std::string("m"));
  load.Set("n", int64_t{1});
  loaded.Add(load);
  WriteProfile(small.dir() / "other", loaded);
  DeviceProfile first = ProfileOf(kPhoneModel);
  first.Add(load);
  WriteProfile(small.dir() / "device", first);
  EXPECT_EQ(small.Load({variants, "devices.0.memory_MB=0.0155"}).classes[0].load_s, (std::vector<double>{0.25, 0.25}));
}

TEST(Simulator, WhoSeesALinkLateChoosesWorse) {
  const SmallWorld small(kPhoneModel, kEdgeModel);
  const std::vector<std::string> overrides = {
      "network={kind: markov, together: true, regimes: [{up_Mbps: 1, down_Mbps: 10, rtt_ms: 20, mean_s: 5}, {up_Mbps: "
      "0.01, down_Mbps: 10, rtt_ms: 20, mean_s: 5}]}",
      "requests.rate_per_s=1", "horizon_s=400"};
  const auto latency_s = [&](const char* late) {
    std::vector<std::string> all = overrides;
    all.push_back(late);
    const RunResult run = Simulate(small.Load(all), "latency", {});
    return run.latency_sum_s / static_cast<double>(run.measured);
  };
  const double now = latency_s("link_known_after_s=0"), late = latency_s("link_known_after_s=3");
  EXPECT_LT(now, 0.16) << "never over the link that takes longer than the device";
  EXPECT_GT(late, 1.5 * now);
  EXPECT_ERROR(small.Load({"link_known_after_s=-1"}), "link_known_after_s");
}

TEST(Simulator, RefusesAResultFromOutsideTheGrid) {
  const SmallWorld small(kPhoneModel, kEdgeModel);
  const World world = small.Load({"requests.prompt_tok=5000"});
  EXPECT_ERROR(Simulate(world, "local", {}), "lie outside the measured grids, more than outside_share allows, 5.0 %");
  EXPECT_GT(Simulate(small.Load({"requests.prompt_tok=5000", "outside_share=1"}), "local", {}).outside, 0.9);
}

TEST(Simulator, SamplesItsQueues) {
  const SmallWorld small(kPhoneModel, kEdgeModel);
  std::vector<QueueSample> samples;
  Simulate(small.Load({"requests.rate_per_s=6", "devices.0.count=1"}), "local",
           {.queue_samples = 50, .samples = &samples});
  ASSERT_EQ(samples.size(), 50u);
  EXPECT_EQ(samples[1].at_s, 2);
  EXPECT_EQ(samples[0].on_devices, 0);
  double mean = 0;
  for (const QueueSample& sample : samples) mean += static_cast<double>(sample.on_devices) / 50;
  EXPECT_GT(mean, 1);
}

TEST(Experiment, ComparesTwins) {
  const SmallWorld small = WorldWithItems();
  const auto file = small.dir() / "small.yaml";
  WriteFileAtomically(file, small.Text());
  const ExperimentResult result = RunExperiment({.scenario = file.string(),
                                                 .overrides = {kWithItems[0], "replications=5", "horizon_s=50"},
                                                 .policies = {"local", "latency"},
                                                 .swept = "users",
                                                 .values = {"1", "3"},
                                                 .threads = 1});
  ASSERT_EQ(result.points.size(), 2u);
  EXPECT_EQ(result.swept, "devices.0.count");
  for (const PointResult& point : result.points) {
    const auto &local = point.policies[0], &latency = point.policies[1];
    EXPECT_TRUE(local.less_first.empty());
    EXPECT_NEAR(latency.less_first[0]->mean, latency.metrics[0]->mean - local.metrics[0]->mean, 1e-9);
    EXPECT_LT(latency.less_first[0]->high, 0) << "surely quicker";
    EXPECT_EQ(local.arrived, latency.arrived) << "the same requests";
  }
  EXPECT_GT(result.points[1].policies[0].arrived, 2 * result.points[0].policies[0].arrived);
  EXPECT_ERROR(RunExperiment({.scenario = file.string(), .swept = "users"}), "needs what is swept and its values");
}

TEST(Metrics, TheDeadlineIsKeptByNineteenOfTwenty) {
  const auto slack = std::ranges::find(RunMetrics(), "slack_deadline", &RunMetric::name);
  ASSERT_NE(slack, RunMetrics().end());
  RunResult run;
  for (int64_t i = 1; i <= 100; ++i) run.latency.Add(FromSeconds(0.01 * static_cast<double>(i)));
  run.measured = 100;
  EXPECT_NEAR(*slack->of(run, {.deadline_s = 1.5}), 1.5 - 0.95, 0.002);
  EXPECT_FALSE(slack->of(run, {}));
}

TEST(Metrics, QuantilesAreWithinTheirBins) {
  DurationHistogram histogram;
  for (int64_t i = 1; i <= 100'000; ++i) histogram.Add(i * 1000);
  for (const double share : {0.0, 0.01, 0.5, 0.95, 0.99, 1.0})
    EXPECT_NEAR(histogram.Quantile(share), std::max(1e-6, share * 0.1), 0.002 * std::max(1e-6, share * 0.1)) << share;
  DurationHistogram small;
  for (const int64_t ns : {0, 1, 511, 512}) small.Add(ns);
  EXPECT_EQ(small.Quantile(0.1), 0);
  EXPECT_EQ(small.Quantile(0.5), 1e-9);
  EXPECT_DOUBLE_EQ(small.Quantile(0.75), 511e-9);
}

}  // namespace
}  // namespace ecld::offload
