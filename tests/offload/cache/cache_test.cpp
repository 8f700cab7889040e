// Whole runs of the question "cache", against what can be reckoned by hand.

#include <gtest/gtest.h>

#include <cmath>

#include "core/document.h"
#include "core/files.h"
#include "offload/experiment.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/temp_dir.h"

namespace ecld::offload {
namespace {

// Three variants of a body and a rest each; 8 Mbit/s are 1 MB a second, and the backhaul is half as quick.
constexpr const char* kText =
    "version: 1\nquestion: cache\nname: small\nreplications: 4\nhorizon_s: 20000\n"
    "variants:\n"
    "  - {name: a, blocks: {body: 6, rest a: 1}}\n"
    "  - {name: b, blocks: {body: 6, rest b: 2}}\n"
    "  - {name: c, blocks: {all c: 5}}\n"
    "popularity: {weights: {a: 3, b: 2, c: 5}}\n"
    "server: {storage_MB: 9, backhaul_Mbps: 4, backhaul_ms: 100}\n"
    "devices: {count: 2, storage_MB: 8, rate_per_s: 0.05}\n"
    "network: {kind: constant, up_Mbps: 1, down_Mbps: 8, rtt_ms: 10}\n";

class CacheTest : public testing::Test {
 protected:
  ExperimentResult Run(const std::string& text, std::vector<std::string> policies = {}, int threads = 1) const {
    WriteFileAtomically(dir_ / "cache.yaml", text);
    return RunExperiment(
        {.scenario = (dir_ / "cache.yaml").string(), .policies = std::move(policies), .threads = threads});
  }
  static std::string With(const std::string& from, const std::string& to) {
    std::string text = kText;
    return text.replace(text.find(from), from.size(), to);
  }
  static std::optional<MeanInterval> Find(const ExperimentResult& result, const std::string& policy,
                                          std::string_view name) {
    for (const PolicyResult& each : result.points[0].policies)
      for (size_t m = 0; m < each.metrics.size(); ++m)
        if (each.policy == policy && result.study.metrics[m].name == name) return each.metrics[m];
    ADD_FAILURE() << policy << " has no " << name;
    return std::nullopt;
  }
  static double Metric(const ExperimentResult& result, const std::string& policy, std::string_view name) {
    const auto found = Find(result, policy, name);
    return found ? found->mean : NAN;
  }

  TempDir dir_;
};

TEST_F(CacheTest, WhatIsKeptIsHitAsOftenAsItIsAskedFor) {
  const ExperimentResult result = Run(kText);
  ASSERT_EQ(result.points[0].policies.size(), 5u);
  // 9 MB hold a and b with their body once, or c alone, which half of the requests want.
  for (const char* policy : {"greedy", "exhaustive", "popular", "separate"})
    EXPECT_NEAR(Metric(result, policy, "hit_rate"), Metric(result, policy, "hit_expected"), 0.03) << policy;
  EXPECT_NEAR(Metric(result, "greedy", "hit_expected"), 0.5, 1e-12);
  EXPECT_NEAR(Metric(result, "greedy", "below_exhaustive"), 0, 1e-12);
  EXPECT_FALSE(Find(result, "lru", "hit_expected")) << "it keeps nothing in advance";
  EXPECT_GT(Metric(result, "lru", "hit_rate"), 0.1);
  EXPECT_NE(result.study.findings[0].find("3 variants of 20.0 MB one by one, 14.0 MB"), std::string::npos)
      << result.study.findings[0];
}

TEST_F(CacheTest, OnlyWhatADeviceLacksIsSentAndOnlyWhatTheServerLacksIsFetched) {
  // All are kept. A device holds one of them: with the one before b in the mean 7, 8 or 5 MB go, less what both have.
  const std::string all = With("storage_MB: 9", "storage_MB: 14");
  const ExperimentResult missing = Run(all, {"greedy"}), whole = Run(all + "delivery: whole\n", {"greedy"});
  EXPECT_NEAR(Metric(whole, "greedy", "sent"), 0.3 * 7 + 0.2 * 8 + 0.5 * 5, 0.1);
  EXPECT_NEAR(Metric(whole, "greedy", "delivery_mean"), 0.01 + Metric(whole, "greedy", "sent"), 1e-6)
      << "a megabyte a second, and a round trip";
  EXPECT_EQ(Metric(whole, "greedy", "fetched"), 0);
  // After a: a 0, b 2, c 5; after b: a 1, b 0, c 5; after c: 7, 8, 0.
  const double sent = 0.3 * (0.2 * 2 + 0.5 * 5) + 0.2 * (0.3 * 1 + 0.5 * 5) + 0.5 * (0.3 * 7 + 0.2 * 8);
  EXPECT_NEAR(Metric(missing, "greedy", "sent"), sent, 0.1);

  // Nothing is kept: all that is sent is fetched first, at half the rate.
  const ExperimentResult none = Run(With("storage_MB: 9", "storage_MB: 0") + "delivery: whole\n", {"greedy"});
  EXPECT_EQ(Metric(none, "greedy", "hit_rate"), 0);
  EXPECT_NEAR(Metric(none, "greedy", "delivery_mean"), 0.01 + 0.1 + 3 * Metric(none, "greedy", "sent"), 1e-6);
  // With c alone kept, a and b are fetched; with a alone, of b only what is its own.
  const ExperimentResult a_only =
      Run(With("storage_MB: 9, ", "storage_MB: 7, ").replace(std::string(kText).find("c: 5}}\nserver"), 4, "c: 0"),
          {"greedy"});
  EXPECT_NEAR(Metric(a_only, "greedy", "hit_expected"), 0.6, 1e-12);
  EXPECT_NEAR(Metric(a_only, "greedy", "fetched"), 0.6 * 0.4 * 2, 0.05);
}

TEST_F(CacheTest, ADeadlineMakesHitsOfWhatArrivesInTime) {
  // c takes 5.01 s, a 7.01 and b 8.01.
  const ExperimentResult result = Run(With("storage_MB: 9", "storage_MB: 14") + "deadline_s: 7.5\ndelivery: whole\n");
  EXPECT_NEAR(Metric(result, "greedy", "hit_expected"), 0.8, 1e-12) << "b is never in time";
  EXPECT_NEAR(Metric(result, "greedy", "kept"), 2, 1e-12);
  EXPECT_NEAR(Metric(result, "greedy", "hit_rate"), 0.8, 0.03);
}

TEST_F(CacheTest, AChangedPopularityCostsHitsOrBytes) {
  const ExperimentResult result = Run(std::string(kText) + "changed_popularity: {zipf: 1, order: [b, a, c]}\n");
  // c was kept. Then a and b are worth 9 of 11 and take 9 MB, of which none is there.
  EXPECT_NEAR(Metric(result, "greedy", "changed_hit_expected"), 2.0 / 11, 1e-12);
  EXPECT_NEAR(Metric(result, "greedy", "anew_hit_expected"), 9.0 / 11, 1e-12);
  EXPECT_NEAR(Metric(result, "greedy", "anew_fetched"), 9, 1e-12);
  EXPECT_NEAR(Metric(result, "greedy", "changed_hit_rate"), 2.0 / 11, 0.04);
  EXPECT_GT(Metric(result, "lru", "changed_hit_rate"), Metric(result, "greedy", "changed_hit_rate"));
  EXPECT_FALSE(Find(Run(kText), "greedy", "anew_fetched"));
}

TEST_F(CacheTest, TheSameSeedGivesTheSameBytes) {
  const std::string once = ToJson(Run(kText)).dump();
  EXPECT_EQ(ToJson(Run(kText, {}, 3)).dump(), once);
  EXPECT_NE(ToJson(Run(std::string(kText) + "seed: 9\n")).dump(), once);
}

TEST_F(CacheTest, TheSharedPartsOfInspectedCheckpointsAreFound) {
  const auto write = [&](const char* name, const Json& blocks, const Json& tensors) {
    WriteJsonFile(dir_ / name, NewDocument(kInspectDocument, {{"blocks", blocks}, {"tensors", tensors}}));
  };
  const auto item = [](const char* sha256, int64_t bytes) { return Json{{"sha256", sha256}, {"bytes", bytes}}; };
  write("a.json", {item("x", 3'000'000), item("y", 4'000'000)}, {item("p", 5'000'000), item("q", 2'000'000)});
  write("b.json", {item("x", 3'000'000), item("z", 5'000'000)}, {item("p", 5'000'000), item("r", 3'000'000)});
  std::string both = With("blocks: {body: 6, rest a: 1}", fmt::format("inspect: {}", (dir_ / "a.json").string()));
  const std::string from = "blocks: {body: 6, rest b: 2}";
  both.replace(both.find(from), from.size(), fmt::format("inspect: {}", (dir_ / "b.json").string()));
  EXPECT_NE(Run(both).study.findings[0].find("20.0 MB one by one, 17.0 MB"), std::string::npos);
  EXPECT_NE(Run(both + "unit: tensors\n").study.findings[0].find("20.0 MB one by one, 15.0 MB"), std::string::npos);
  write("a.json", Json::array({item("x", 3'000'000)}), Json::array());
  EXPECT_ERROR(Run(both + "unit: tensors\n"), "a.json: tensors: is empty");
  write("b.json", Json::array({item("x", 2'000'000)}), Json::array());
  EXPECT_ERROR(Run(both), "cache.yaml:8: variants[1]: block x has 2000000 bytes, and 3000000 in a variant before");
  write("a.json", Json::array({item("x", -1)}), Json::array());
  EXPECT_ERROR(Run(both), "a.json: blocks[0].bytes: is -1, 0 or more would be right");
  WriteJsonFile(dir_ / "a.json", NewDocument(kOffloadDocument));
  EXPECT_ERROR(Run(both), "a.json");
}

TEST_F(CacheTest, RefusesWithThePlace) {
  const auto refuses = [&](const std::string& from, const std::string& to, const char* why) {
    EXPECT_ERROR(Run(With(from, to)), why);
  };
  refuses("rest a: 1", "rest a: -1", "cache.yaml:7: variants[0].blocks.rest a: expected a number from");
  refuses("blocks: {all c: 5}", "inspect: none.json", "none.json");
  refuses("blocks: {all c: 5}", "inspect: x, blocks: {d: 1}", "cache.yaml:9: variants[2]: one of these would be right");
  refuses(", blocks: {all c: 5}", "", "variants[2]: one of these would be right");
  refuses("{all c: 5}", "{}", "variants[2].blocks: is empty");
  refuses("name: c", "name: a", "a second one is called \"a\"");
  refuses("body: 6, rest b", "body: 7, rest b", "variants[1]: block body has 7000000 bytes, and 6000000");
  refuses("b: 2, c: 5}", "b: 2, d: 5}", "popularity.weights: \"c\" is missing");
  refuses("{a: 3, b: 2, c: 5}", "{a: 0, b: 0, c: 0}", "popularity.weights: are all 0");
  refuses("weights: {a: 3, b: 2, c: 5}", "order: [a, b]", "popularity.order: has 2 names, each of the 3 variants once");
  refuses("weights: {a: 3, b: 2, c: 5}", "order: [a, b, b]", "popularity.order: names \"b\" twice");
  refuses("weights: {a: 3, b: 2, c: 5}", "order: [a, b, C]", "popularity.order: there is no variant \"C\"");
  refuses("weights: {a: 3, b: 2, c: 5}", "zipf: -1", "popularity.zipf: expected a number from");
  refuses("storage_MB: 8", "storage_MB: 7", "variants[1]: b has 8.0 MB, and no device can hold it");
  refuses("storage_MB: 9, ", "", "server: \"storage_MB\" is missing");
  refuses("rate_per_s: 0.05", "rate_per_s: 1e6", "devices: would ask more than 1e9 times in 20000 s");
  refuses("kind: constant", "kind: constnt", "did you mean constant");
  refuses("name: small", "name: small\npolicies: [greedi]",
          "policies: there is no policy \"greedi\" (did you mean greedy?)");
  refuses("name: small", "name: small\ncolour: red", "unknown key \"colour\"");
  std::string many = kText;
  many.replace(many.find("popularity: {weights: {a: 3, b: 2, c: 5}}\n"), 42, "");
  for (int i = 0; i < 18; ++i)
    many.insert(many.find("server:"), fmt::format("  - {{name: v{}, blocks: {{body: 6}}}}\n", i));
  EXPECT_ERROR(Run(many), "policy exhaustive tries all sets of up to 20 variants; there are 21");
  EXPECT_NO_THROW(Run(many, {"greedy", "lru"}));
}

}  // namespace
}  // namespace ecld::offload
