#include "profile/score/scorecard.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "tests/profile/small_profile.h"
#include "tests/testing/expect_error.h"

namespace ecld {
namespace {

// The small model: 1000 bytes of weights, 128 a token of cache, 64 positions.
constexpr double kNeed_B = 1000 + 64 * 128;

// One row of one sequence whose program took `peak_B` with 16 + 4 tokens in the cache.
DeviceProfile Measured(int64_t peak_B) {
  Table phase(FindTableSchema("phase", "test"));
  AddPhase(phase, 1, 16, 10);
  phase.Set("mem_peak_B", peak_B);
  return With(SmallProfile(), phase);
}

DeviceCatalogue Devices(std::vector<CatalogueDevice> devices) {
  return {.file = "test", .sha256 = "00", .devices = std::move(devices)};
}

Figure Find(const Scorecard& card, const std::string& name) {
  for (const Figure& figure : card.figures)
    if (figure.name.starts_with(name)) return figure;
  ADD_FAILURE() << name;
  return {};
}

TEST(Coverage, CountsBytesOfWeightsAndCache) {
  const Coverage coverage = CoverageOf(Measured(5000), Devices({{.id = "a", .kind = "board", .mem_B = 1}}), {});
  EXPECT_EQ(coverage.limits.ctx_tok, 64) << "no more than the model can";
  EXPECT_EQ(coverage.need_low_B, kNeed_B);
  EXPECT_EQ(coverage.need_high_B, 5000 + (64 - 20) * 128);
  EXPECT_EQ(coverage.read_B_per_tok, kNeed_B);
}

TEST(Coverage, AnEmbeddingThatIsOnlyLookedUpIsNotReadForAToken) {
  DeviceProfile profile = Measured(5000);
  profile.variant["arch"]["tie_embeddings"] = false;
  EXPECT_EQ(ReadBytesPerToken(profile, 0), 1000 - 400);
}

TEST(Coverage, ADeviceWithinTheErrorOfTheModelIsUndecided) {
  const double high_B = 5000 + 44 * 128, rate = 5 * kNeed_B;
  struct Case {
    const char* kind;
    double mem_B;
    std::optional<double> mem_Bps;
    bool sure, possible;
  };
  for (const Case& c : {Case{"board", 2 * high_B, 2 * rate, true, true},
                        {"board", 2 * high_B - 1, 2 * rate, false, true},
                        {"board", 2 * kNeed_B, 2 * rate, false, true},
                        {"board", 2 * kNeed_B - 1, 2 * rate, false, false},
                        {"board", 2 * high_B, 2 * rate - 1, false, true},
                        {"board", 2 * high_B, rate, false, true},
                        {"board", 2 * high_B, rate - 1, false, false},
                        {"board", 2 * high_B, std::nullopt, false, true},
                        {"phone", 10 * high_B, 2 * rate, true, true},
                        {"phone", 2 * high_B, 2 * rate, false, false}}) {
    const Coverage coverage =
        CoverageOf(Measured(5000), Devices({{.id = "a", .kind = c.kind, .mem_B = c.mem_B, .mem_Bps = c.mem_Bps}}), {});
    EXPECT_EQ(coverage.devices[0].sure, c.sure) << c.kind << " " << c.mem_B;
    EXPECT_EQ(coverage.devices[0].possible, c.possible) << c.kind << " " << c.mem_B;
  }
}

TEST(Coverage, EveryDeviceCountsTheSame) {
  const Coverage coverage = CoverageOf(Measured(5000),
                                       Devices({{.id = "no", .kind = "board", .mem_B = 1},
                                                {.id = "maybe", .kind = "board", .mem_B = 1e9},
                                                {.id = "yes", .kind = "board", .mem_B = 1e9, .mem_Bps = 1e9},
                                                {.id = "slow", .kind = "board", .mem_B = 1e9, .mem_Bps = 1}}),
                                       {});
  EXPECT_EQ(coverage.sure, 0.25);
  EXPECT_EQ(coverage.possible, 0.5);
  EXPECT_EQ(ToJson(coverage)["devices"][1]["can"], "undecided");
}

TEST(Coverage, AProfileWithoutMemoryIsRefused) {
  EXPECT_ERROR(CoverageOf(SmallProfile(), Devices({}), {}), "no row of one sequence says how much memory it took");
}

Table Scores() {
  Table quality(FindTableSchema("quality", "test"));
  const auto add = [&](const char* task, const char* metric, const char* format, double value, double reach) {
    quality.AddRow();
    quality.Set("task", std::string(task));
    quality.Set("metric", std::string(metric));
    quality.Set("prompt_fmt", std::string(format));
    quality.Set("value", value);
    quality.Set("ci_lo", value - reach);
    quality.Set("ci_hi", value + reach);
    quality.Set("dataset_sha256", std::string("00"));
    quality.Set("src", std::string("m"));
    quality.Set("n", int64_t{100});
  };
  add("arc", "acc", "own 1/acc", 0.25, 0.03);
  add("arc", "acc", "own 1/acc_norm", 0.75, 0.03);
  add("piqa", "acc", "own 1/acc", 0.75, 0.04);
  add("truth", "acc", "own 1/acc", 0.125, 0.01);
  add("truth", "halluc_rate", "ecld/falsehood", 0.875, 0.01);
  return quality;
}

TEST(Scorecard, FourMetricsStandSideBySide) {
  const Scorecard card =
      ScorecardOf(With(Measured(5000), Scores()), Devices({{.id = "a", .kind = "board", .mem_B = 1e9}}), {});
  const Figure mean = Find(card, "mean of acc");
  EXPECT_EQ(mean.value, 0.5) << "acc of arc and piqa; what tells of hallucination is no accuracy";
  EXPECT_EQ(mean.n, 2);
  EXPECT_NEAR(mean.interval->second - *mean.value, std::hypot(0.03, 0.04) / 2, 1e-12);
  EXPECT_EQ(Find(card, "truth, falsehood").metric, "hallucination");
  EXPECT_EQ(Find(card, "truth, acc").metric, "hallucination");
  EXPECT_FALSE(Find(card, "per query").value) << "no energy was measured";
  EXPECT_EQ(Find(card, "bits per weight").value, 8);
  EXPECT_EQ(Find(card, "time to first token, prompt of 16").value, 10);
  EXPECT_EQ(Find(card, "decoding, prompt of 16").value, 1000);
  const Figure devices = Find(card, "devices that can run it");
  EXPECT_EQ(devices.interval, (std::pair{0.0, 1.0}));
  EXPECT_EQ(KindOf(devices.src), "modelled");
}

TEST(Scorecard, EnergySaysWhatItIsOf) {
  DeviceProfile profile = Measured(5000);
  Table phase = profile.At("phase");
  phase.Set("prefill_J", 2.0);
  phase.Set("decode_J_per_tok", 0.5);
  phase.Set("ctx_tok", int64_t{16});
  phase.Set("src", std::string("r"));
  profile = With(profile, phase);
  profile.provenance["power_source"] = "rapl";
  profile.provenance["power_scope"] = "cpu-package";
  const Scorecard card = ScorecardOf(profile, Devices({{.id = "a", .kind = "board", .mem_B = 1e9}}), {});
  const Figure query = Find(card, "per query of 16 + 4 tokens");
  EXPECT_EQ(query.value, 4);
  EXPECT_EQ(query.method, "cpu-package, idle power included");
  EXPECT_EQ(KindOf(query.src), "modelled");
  EXPECT_EQ(Find(card, "per token, context 16").value, 0.5);
  EXPECT_EQ(query.interval, (std::pair{4 * 0.85, 4 * 1.15})) << "a model is never better than that";
}

TEST(Scorecard, NewErrorsAgainstTheOriginalArePaired) {
  DeviceProfile profile = With(Measured(5000), Scores());
  profile.variant["new_errors"] =
      SmallSection(R"({"n": 200, "new_errors": 12, "fixed_errors": 4, "new_error_rate": 0.04,
    "se": 0.02, "p": 0.077, "test": "McNemar"})");
  const Figure figure =
      Find(ScorecardOf(profile, Devices({{.id = "a", .kind = "board", .mem_B = 1e9}}), {}), "new errors less fixed");
  EXPECT_EQ(figure.metric, "hallucination");
  EXPECT_EQ(figure.value, 0.04);
  EXPECT_NEAR(figure.interval->first, 0.04 - 1.96 * 0.02, 1e-5);
  EXPECT_EQ(figure.method, "12 new, 4 fixed; McNemar, p 0.077");
}

TEST(Scorecard, WithoutAMeterEnergyIsModelledByTheCoefficientsOfTheDevice) {
  DeviceProfile profile = Measured(5000);  // a prompt of 16 in 10 ms, a step in 1 ms
  Table layers = profile.At("layers");
  AddLayer(layers, "0", 1, 600, kSmallKvBytesPerTok);
  layers.Set("phase", std::string("decode"));
  layers.Set("tok", int64_t{1});
  layers.Set("ctx_tok", int64_t{16});
  layers.Set("flops", int64_t{5000});
  profile.tables.at("layers") = {TableStatus::kPartial, layers};
  CatalogueDevice board{.id = "board", .kind = "board", .mem_B = 1e9};  // the profile's
  EXPECT_FALSE(Find(ScorecardOf(profile, Devices({board}), {}), "per query").value);
  board.energy = {.static_W = 2, .J_per_B = 1e-6, .J_per_op = 1e-7, .error_frac = 0.25};
  const Scorecard card = ScorecardOf(profile, Devices({board}), {});
  const double step_J = 2 * 0.001 + 1e-6 * (600 + 17 * 64) + 1e-7 * 5000;
  const Figure token = Find(card, "per token, context 0");
  EXPECT_DOUBLE_EQ(*token.value, step_J);
  EXPECT_EQ(KindOf(token.src), "modelled");
  EXPECT_DOUBLE_EQ(token.interval->second, 1.25 * step_J);
  EXPECT_DOUBLE_EQ(*Find(card, "per query of 16 + 4 tokens").value, 2 * 0.01 + 1e-6 * (1000 + 16 * 128) + 4 * step_J);
}

TEST(Scorecard, IdlePowerStandsApart) {
  DeviceProfile profile = Measured(5000);
  Table phase = profile.At("phase");
  phase.Set("prefill_J", 2.0);
  phase.Set("decode_J_per_tok", 0.5);
  phase.Set("tpot_ms", 100.0);
  phase.Set("e2e_ms", 500.0);
  profile = With(profile, phase);
  profile.device["idle_W"] = 3;
  const Scorecard card = ScorecardOf(profile, Devices({{.id = "a", .kind = "board", .mem_B = 1e9}}), {});
  EXPECT_EQ(Find(card, "per query of 16 + 4 tokens").value, 4);
  EXPECT_DOUBLE_EQ(*Find(card, "per query of 16 + 4 tokens, above idle").value, 4 - 3 * 0.5);
  EXPECT_DOUBLE_EQ(*Find(card, "per token, context 0, above idle").value, 0.5 - 3 * 0.1);
  EXPECT_EQ(Find(card, "idle power").value, 3);
  EXPECT_FALSE(Find(card, "per query of 16 + 4 tokens").interval) << "measured";
}

TEST(Scorecard, JsonHasEveryFigureWithItsKind) {
  const DeviceCatalogue devices = Devices({{.id = "a", .kind = "board", .mem_B = 1e9}});
  const Json json = ToJson({ScorecardOf(With(Measured(5000), Scores()), devices, {})}, devices);
  EXPECT_EQ(json["schema"], "ecld.scorecard");
  EXPECT_EQ(json["catalogue"]["devices"], 1);
  std::set<std::string> metrics, headlines;
  for (const Json& figure : json["scorecards"][0]["figures"]) {
    metrics.insert(figure["metric"]);
    if (figure["headline"] == true) headlines.insert(figure["name"]);
    EXPECT_EQ(figure["value"].is_null(), figure["kind"] == "not measured") << figure["name"];
    EXPECT_TRUE(figure["value"].is_null() || !figure["unit"].get<std::string>().empty()) << figure["name"];
  }
  EXPECT_EQ(metrics, (std::set<std::string>{"accuracy", "hallucination", "energy", "accessibility"}));
  EXPECT_EQ(headlines, (std::set<std::string>{"mean of acc, 2 tasks", "peak memory, resident, prompt of 16",
                                              "time to first token, prompt of 16", "decoding, prompt of 16",
                                              "devices that can run it at context 64"}));
}

}  // namespace
}  // namespace ecld
