// Cutting a model in two: the published process and ours, against what can be reckoned by hand and tried out whole.

#include <gtest/gtest.h>

#include <cmath>

#include "core/files.h"
#include "offload/experiment.h"
#include "offload/split/published_split.h"
#include "offload/split/split_session.h"
#include "tests/offload/small_world.h"
#include "tests/testing/expect_error.h"

namespace ecld::offload {
namespace {

constexpr int kLayers = 16, kMeasured = 9;

// A layer takes 1 ms for a token and 10 ms for a prompt, head and embedding nothing; 100 bytes cross a cut for a token.
// Damage of level x at cut c makes the perplexity 1 + x c times as high.
DeviceProfile SplitProfile() {
  DeviceProfile profile = ProfileOf({.id = "tiny", .prompt_ms = 160, .step_ms = 16});
  Json& arch = profile.variant["arch"];
  arch["n_layers"] = kLayers;
  for (const char* key : {"n_head", "n_kv_head", "d_ff"}) arch[key] = std::vector<int>(kLayers, 1);
  Table layers(FindTableSchema("layers", "test"));
  for (int layer = -1; layer <= kLayers; ++layer)
    for (const char* phase : {"prefill", "decode"})
      for (const int64_t tok : {1, 4096}) {
        const bool is_block = layer >= 0 && layer < kLayers, prefill = std::string_view(phase) == "prefill";
        layers.AddRow();
        layers.Set("layer", layer < 0 ? "embed" : is_block ? std::to_string(layer) : "head");
        layers.Set("phase", std::string(phase));
        layers.Set("batch", int64_t{1});
        layers.Set("tok", prefill ? tok : int64_t{1});
        layers.Set("ctx_tok", prefill ? int64_t{0} : tok);
        layers.Set("ms", !is_block ? 0.0 : prefill ? 10.0 : 1.0);
        layers.Set("flops", int64_t{1000});
        layers.Set("weight_B", int64_t{is_block ? 60 : 20});
        layers.Set("kv_B_per_tok", int64_t{is_block ? 8 : 0});
        layers.Set("src", std::string("m"));
        layers.Set("n", int64_t{5});
      }
  Table cuts(FindTableSchema("cuts", "test"));
  for (int64_t cut = 0; cut <= kLayers; ++cut)
    for (const int64_t tok : {1, 4096}) {
      cuts.AddRow();
      cuts.Set("cut", cut);
      cuts.Set("batch", int64_t{1});
      cuts.Set("tok", tok);
      if (cut > 0 && cut < kLayers) cuts.Set("dtype", std::string("f16"));
      cuts.Set("up_B", tok * (cut == 0 ? 4 : cut == kLayers ? 0 : 16));
      cuts.Set("down_B", int64_t{cut == kLayers ? 0 : 4});
      cuts.Set("rtt_per_gen_tok", cut > 0 && cut < kLayers ? 1.0 : 0.0);
      cuts.Set("src", std::string("r"));
      cuts.Set("n", int64_t{1});
    }
  Table quality(FindTableSchema("split_quality", "test"));
  for (int64_t cut = 1; cut <= kMeasured; ++cut)
    for (const double level : {0.02, 0.30}) {
      quality.AddRow();
      quality.Set("cut", cut);
      quality.Set("corruption", std::string("dropout"));
      quality.Set("level", level);
      quality.Set("ppl", 10.0);
      quality.Set("ppl_ratio", 1 + level * static_cast<double>(cut));
      quality.Set("n", int64_t{100});
      quality.Set("src", std::string("m"));
    }
  for (const Table& table : {layers, cuts, quality})
    profile.tables.insert_or_assign(std::string(table.schema().name), ProfileTable{TableStatus::kComplete, table});
  return profile;
}

EstimateGrid QualityGrid() {
  EstimateGrid grid(EstimateGrid::Scale::kLinear);
  for (int cut = 1; cut <= kMeasured; ++cut)
    for (const double level : {0.02, 0.30}) grid.Add(cut, level, 1 + level * cut, 'm');
  return grid;
}

// The most that any of the choices of the steps left come to.
double TriedOut(const FiniteProcess& process, int step, int state) {
  if (step == process.steps()) return 0;
  double most = -INFINITY;
  for (int choice = 0; choice < process.choices(); ++choice) {
    const Outcome outcome = process.At(step, state, choice);
    double worth = outcome.reward;
    for (const auto& [next, chance] : outcome.next) worth += chance * TriedOut(process, step + 1, next);
    most = std::max(most, worth);
  }
  return most;
}

TEST(PublishedSplit, TheBestPlanIsTheBestOfAllThatCanBeTried) {
  for (const bool bug : {false, true}) {
    const PublishedSplit process(QualityGrid(), {.noise = 0.15, .split = 5}, bug);
    const SolvedProcess solved = Solve(process);
    const double best = solved.value[0][static_cast<size_t>(process.first())];
    EXPECT_NEAR(best, TriedOut(process, 0, process.first()), 1e-9);
    for (int choice = 0; choice < kPublishedSplits; ++choice) {
      const SolvedProcess fixed = Evaluate(process, [&](int, int) { return choice; });
      EXPECT_LE(fixed.value[0][static_cast<size_t>(process.first())], best + 1e-12);
    }
  }
}

TEST(PublishedSplit, StayingIsWorthNothingUnlessThePublishedMistakeIsMade) {
  const auto stay = [](bool bug) {
    const PublishedSplit process(QualityGrid(), {.noise = 0.15, .split = 5}, bug);
    return Evaluate(process, [&](int, int) { return 4; }).value[0][static_cast<size_t>(process.first())];
  };
  EXPECT_NEAR(stay(false), 5 * 0.5, 1e-12) << "the load alone: the perplexity is what it was";
  EXPECT_NEAR(stay(true), 5 * (10.5 + 0.5), 1e-12) << "as if the perplexity were 0";
}

TEST(PublishedSplit, ARewardIsThatOfThePaper) {
  const PublishedSplit process(QualityGrid(), {.noise = 0.2, .split = 3}, false);
  const Outcome up = process.At(0, process.first(), 6 - 1);
  EXPECT_NEAR(up.reward, 10.5 * (1.6 - (1 + 0.2 * 0.9995 * 6)) / 1.6 + 0.4, 1e-12);
  const Outcome down = process.At(1, up.next[0].first, 2 - 1);
  EXPECT_NEAR(down.reward, 10.5 * (1.6 - (1 + 0.2 * 0.9995 * 1.0005 * 2)) / 1.6 + 0.8, 1e-12);
  EXPECT_NEAR(process.At(0, process.first(), 10 - 1).reward, 10.5 * 0.6 / 1.6, 1e-12) << "nothing crosses a cut";
}

class SplitTest : public testing::Test {
 protected:
  void SetUp() override { WriteProfile(dir_ / "profile", SplitProfile()); }

  std::string Text(const std::string& setting) const {
    const std::string text = fmt::format(
        "version: 1\nquestion: split\nname: small\nreplications: 3\nepisodes: 5\nsetting: {}\nprofile: "
        "{}/profile\n",
        setting, dir_.path().string());
    if (setting == "published") return text;
    return text + fmt::format(
                      "device: {{power_W: 2, send_W: 1}}\nserver: {{profile: {}/profile, as: l4}}\nprompt_tok: 100\n"
                      "answer_tok: 40\nstep_tok: 10\nregimes:\n"
                      "  - {{up_Mbps: 0.128, down_Mbps: 0.032, rtt_ms: 5, noise: 0.02, mean_steps: 3}}\n"
                      "  - {{up_Mbps: 0.001, down_Mbps: 0.032, rtt_ms: 500, noise: 0.3, mean_steps: 2}}\n",
                      dir_.path().string());
  }

  ExperimentResult Run(const std::string& text, std::vector<std::string> policies = {}, int threads = 1) const {
    WriteFileAtomically(dir_ / "split.yaml", text);
    return RunExperiment(
        {.scenario = (dir_ / "split.yaml").string(), .policies = std::move(policies), .threads = threads});
  }

  double Metric(const ExperimentResult& result, const std::string& policy, std::string_view name) const {
    for (const PolicyResult& each : result.points[0].policies)
      for (size_t m = 0; m < each.metrics.size(); ++m)
        if (each.policy == policy && result.study.metrics[m].name == name) return each.metrics[m]->mean;
    ADD_FAILURE() << policy << " has no " << name;
    return NAN;
  }

  TempDir dir_;
};

TEST_F(SplitTest, ATokenTakesWhatTheTablesSay) {
  const auto model = LoadModel((dir_ / "profile").string(), "", "test", {});
  SplitPlan plan{.prompt_tok = 100, .answer_tok = 40, .step_tok = 10, .send_W = 1, .sent_as = "f16"};
  plan.cuts = {0, 4, 16};
  plan.regimes = {{.up_bps = 128e3, .down_bps = 32e3, .rtt_s = 0.005, .noise = 0.02}};
  plan.weights = {.latency = 1, .energy = 0.5, .quality = 2};
  const LayerTimes times(model, 2.0);
  const SplitSession process(times, times, model->profile.At("cuts"), QualityGrid(), plan, "test");
  const SplitUse token = process.TokenAt(0, 0, 1);
  EXPECT_NEAR(token.device_s, 0.004, 1e-12);
  EXPECT_NEAR(token.send_s, 0.001, 1e-12);
  EXPECT_NEAR(token.round_trips_s, 0.005, 1e-12);
  EXPECT_NEAR(token.server_s, 0.012, 1e-12);
  EXPECT_NEAR(token.receive_s, 0.001, 1e-12);
  EXPECT_NEAR(token.joules, 2 * 0.004 + 1 * 0.001, 1e-12);
  EXPECT_NEAR(token.nats, std::log(1.08), 1e-12);
  EXPECT_NEAR(process.TokenAt(0, 0, 2).Seconds(), 0.016, 1e-12) << "not split: no round trip";
  EXPECT_EQ(process.TokenAt(0, 0, 0).round_trips_s, 0) << "ids go once";
  const SplitUse first = process.UseAt(0, process.First(0), 1);
  EXPECT_NEAR(first.Seconds(), 10 * 0.023 + 0.16 + 0.1 + 0.005, 1e-9) << "ten tokens; the prompt, its 100 rows, a trip";
  // After 110 tokens the caches of twelve layers go back: a token takes 8 bytes in each.
  const SplitUse moved = process.UseAt(1, process.At(0, process.First(0), 1).next[0].first, 2);
  EXPECT_NEAR(moved.move_s, 12 * 8 * 110 * 8 / 32e3 + 0.005, 1e-9);
  EXPECT_NEAR(process.At(0, process.First(0), 1).reward,
              -(first.Seconds() + 0.5 * first.joules + 2 * 10 * std::log(1.08)), 1e-9);
}

TEST_F(SplitTest, TheExactPlanForeseesThatTheLinkGetsWorse) {
  const auto device = LoadModel((dir_ / "profile").string(), "", "test", {});
  const auto server = LoadModel((dir_ / "profile").string(), "l4", "test", ReadCatalogue(""));
  SplitPlan plan{.prompt_tok = 100, .answer_tok = 40, .step_tok = 10, .sent_as = "f16"};
  plan.cuts = {4, 16};
  plan.regimes = {{.up_bps = 128e3, .down_bps = 32e3, .rtt_s = 0.005, .noise = 0.02, .mean_steps = 1},
                  {.up_bps = 1e3, .down_bps = 32e3, .rtt_s = 0.5, .noise = 0.02, .mean_steps = 9}};
  const SplitSession process(LayerTimes(device, 2.0), LayerTimes(server, {}), device->profile.At("cuts"), QualityGrid(),
                             plan, "test");
  const auto by_step = [&](int step, int state) {
    return process.At(step, state, 0).reward >= process.At(step, state, 1).reward ? 0 : 1;
  };
  EXPECT_EQ(by_step(0, process.First(0)), 0) << "now the cut is quicker";
  const SolvedProcess solved = Solve(process), greedy = Evaluate(process, by_step);
  const auto first = static_cast<size_t>(process.First(0));
  EXPECT_EQ(solved.best[0][first], 1) << "and soon it is not";
  EXPECT_GT(solved.value[0][first], greedy.value[0][first] + 1);
  EXPECT_NEAR(solved.value[0][first], TriedOut(process, 0, process.First(0)), 1e-9);
}

TEST_F(SplitTest, NoPolicyBeatsTheExactPlan) {
  for (const char* setting : {"session", "published"}) {
    const ExperimentResult result = Run(Text(setting));
    ASSERT_EQ(result.points[0].policies.size(), 13u) << "local, nine cuts, random, table, dp";
    const char* gap = std::string_view(setting) == "session" ? "above_dp" : "below_dp";
    for (const PolicyResult& policy : result.points[0].policies)
      EXPECT_GE(Metric(result, policy.policy, gap), -1e-9) << policy.policy;
    EXPECT_NEAR(Metric(result, "dp", gap), 0, 1e-9);
    EXPECT_GT(Metric(result, "random", gap), 0);
  }
  const ExperimentResult result = Run(Text("session"), {"table", "dp", "remote"});
  const std::string& found = result.study.findings[0];
  EXPECT_NE(found.find("at 0.128 Mbit/s and 5 ms, a token through cut 1"), std::string::npos) << found;
  EXPECT_NE(found.find("the round trip bounds it: not more than 200 tokens"), std::string::npos) << found;
}

TEST_F(SplitTest, TheSameSeedGivesTheSameBytes) {
  for (const char* setting : {"session", "published"}) {
    const std::string once = ToJson(Run(Text(setting))).dump();
    EXPECT_EQ(ToJson(Run(Text(setting), {}, 3)).dump(), once);
    EXPECT_NE(ToJson(Run(Text(setting) + "seed: 9\n")).dump(), once);
  }
}

TEST_F(SplitTest, RefusesWithThePlace) {
  const auto refuses = [&](const std::string& from, const std::string& to, const char* why) {
    std::string text = Text("session");
    text.replace(text.find(from), from.size(), to);
    EXPECT_ERROR(Run(text), why);
  };
  refuses("question: split", "question: spilt",
          "split.yaml:2: question: \"spilt\" is not a choice here (did you mean split?)");
  refuses("version: 1", "version: 2", "version 2 is newer than this program reads");
  refuses("setting: session", "setting: sesion", "split.yaml:6: setting: \"sesion\" is not a choice here");
  refuses("setting: session", "setting: published", "unknown key \"device\"");
  refuses("power_W: 2", "power_W: -2", "device.power_W: expected a number from");
  refuses("answer_tok: 40", "answer_tok: 9000",
          "layers.csv does not tell ms of layer 0 for a token after a context of");
  refuses("noise: 0.02", "noise: 0.5", "split_quality.csv does not tell what damage of 0.5 costs at cut 1");
  refuses("as: l4", "as: l5", "has no device \"l5\" (did you mean l4");
  refuses("up_Mbps: 0.128, ", "", "regimes[0]: \"up_Mbps\" is missing");
  refuses("name: small", "name: small\ncorruption: awgn", "split_quality.csv has no row of awgn");
  EXPECT_ERROR(Run(Text("session"), {"cut-44"}), "there is no policy \"cut-44\" (did you mean cut-4");
  EXPECT_ERROR(ParseScenario(Text("session"), "split.yaml"), "split.yaml:2: question: \"split\" is not a choice here");
  DeviceProfile profile = SplitProfile();
  profile.tables.erase("split_quality");
  WriteProfile(dir_ / "profile", profile);
  EXPECT_ERROR(Run(Text("published")), "the profile has no table split_quality; `profile --split-text` makes");
}

}  // namespace
}  // namespace ecld::offload
