#include "prune/ffn.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/prune/silenced.h"
#include "tests/quantize/compressed_logits.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/near.h"
#include "tests/testing/run_pass.h"

namespace ecld {
namespace {

constexpr Score kEveryScore[] = {Score::kMagnitude, Score::kActivation, Score::kFluctuation, Score::kTaylor,
                                 Score::kObs};

TEST(KeptChannels, AreTheNearestMultiple) {
  EXPECT_EQ(KeptChannels(1536, 0.25, 128), 1152);
  EXPECT_EQ(KeptChannels(14336, 0.2, 256), 11520);
  EXPECT_EQ(KeptChannels(1000, 0, 128), 1000);     // nothing to remove: also not to reach a multiple
  EXPECT_EQ(KeptChannels(1000, 0.01, 128), 1000);  // the nearest multiple is more than there are
  EXPECT_EQ(KeptChannels(1536, 0.999, 128), 128);
}

class PruneFfn : public CompressedLogits {
 protected:
  PruneFfn() : CompressedLogits(24) {}

  double MaxLogitChange(const char* from, const char* to) {
    const TokenWindows others = RandomWindows(2, 24, config_.vocab_size, 9);
    const at::Tensor before = ModelLogits(Checkpoint::Open(case_ / from), others);
    return (ModelLogits(Checkpoint::Open(case_ / to), others) - before).abs().max().item<double>();
  }
};

TEST_F(PruneFfn, OfNothingChangesNoBit) {
  Write({});
  const Json report = RunPass(PruneFfnPass({.ratio = 0, .multiple_of = 32}), case_ / "in", case_ / "out", windows_);
  EXPECT_EQ(MaxLogitChange("in", "out"), 0);
  EXPECT_LT(report["kl_nats"].get<double>(), 1e-6);
}

TEST_F(PruneFfn, TakesSilentChannelsFirstAndNoLogitMoves) {
  for (Family family : kEveryFamily) {
    Write({.family = family, .bias = family == Family::kLlama});
    // A third of the channels, here and there, give nothing: zero up rows (and biases) or zero down columns.
    WriteSilenced(case_ / "in", case_ / "silent", [](const TensorSpec& spec, int64_t row, int64_t column) {
      return (spec.role == Role::kUp && row % 6 == 1) || (spec.role == Role::kDown && !spec.bias && column % 6 == 4);
    });
    for (Score score : family == Family::kLlama ? std::span(kEveryScore) : std::span(kEveryScore).last(1))
      for (bool repair : {false, true}) {
        const std::string out = fmt::format("{}{}", static_cast<int>(score), repair);
        const Json report = RunPass(PruneFfnPass({.ratio = 1.0 / 3, .multiple_of = 32, .removal = {score, repair}}),
                                    case_ / "silent", case_ / out, windows_);
        EXPECT_EQ(Checkpoint::Open(case_ / out).config().intermediate_size, 64);
        EXPECT_LT(MaxLogitChange("silent", out.c_str()), 1e-4) << Name(family) << out;
        EXPECT_LT(report["kl_nats"].get<double>(), 1e-6);
        for (const Json& row : report["blocks"]) EXPECT_NEAR(row["kept_energy"].get<double>(), 1, 1e-6);
      }
  }
}

TEST_F(PruneFfn, RepairMakesGoodWhatOthersCanInEveryFamily) {
  for (Family family : kEveryFamily) {
    Write({.family = family});
    // Channels come in twins, which differ in their columns of down_proj alone.
    WriteChanged(case_ / "in", case_ / "twins", [](const TensorSpec& spec, std::vector<float>& values) {
      if (spec.role != Role::kGate && spec.role != Role::kUp) return;
      const auto width = static_cast<size_t>(spec.matrix() ? spec.shape[1] : 1);
      for (size_t i = 0; i < values.size(); ++i)
        if (i / width % 2 == 1) values[i] = values[i - width];
    });
    std::filesystem::remove_all(case_ / "in");
    std::filesystem::rename(case_ / "twins", case_ / "in");
    const TokenWindows others = RandomWindows(8, 24, config_.vocab_size, 9);
    for (bool output_kl : {false, true}) {
      const std::string cut = fmt::format("cut{}", output_kl), repaired = fmt::format("repaired{}", output_kl);
      PruneFfnOptions options{.ratio = 1.0 / 6, .multiple_of = 8};
      options.removal = {.repair = false, .output_kl = output_kl};
      RunPass(PruneFfnPass(options), case_ / "in", case_ / cut, windows_);
      options.removal.repair = true;
      const Json report = RunPass(PruneFfnPass(options), case_ / "in", case_ / repaired, windows_);
      EXPECT_LT(Divergence(repaired.c_str(), others), 0.05 * Divergence(cut.c_str(), others)) << Name(family);
      EXPECT_NEAR(report["kl_nats"].get<double>(), Divergence(repaired.c_str(), windows_), 1e-4);
      EXPECT_GT(report["kl_nats_unrepaired"], report["kl_nats"]);
      for (const Json& row : report["blocks"])
        EXPECT_LT(row["output_error"].get<double>(), row["output_error_unrepaired"].get<double>());
    }
  }
}

TEST_F(PruneFfn, InterruptedRunEndsInTheSameBytes) {
  Write({});
  const PruneFfnPass pass({.ratio = 0.4, .multiple_of = 8});
  RunPass(pass, case_ / "in", case_ / "whole", windows_);
  // Keeps the first block and both ends of the whole result, as a run that was killed after its first block would.
  const Checkpoint whole = Checkpoint::Open(case_ / "whole");
  {
    CheckpointWriter writer(case_ / "resumed", whole.config());
    for (const auto& spec : writer.table())
      if (spec.layer < 1) writer.CopyFrom(whole, spec);
    writer.Commit(true);
  }
  const Json report = RunPass(pass, case_ / "in", case_ / "resumed", windows_);
  EXPECT_FALSE(report["blocks"][0].contains("kept_energy"));
  EXPECT_TRUE(report["blocks"][1].contains("kept_energy"));
  EXPECT_TRUE(report["kl_nats_unrepaired"].is_null());
  EXPECT_EQ(CheckpointBytes(case_ / "resumed"), CheckpointBytes(case_ / "whole"));
}

// One block needs none of two thirds of its channels, the others all of theirs.
TEST_F(PruneFfn, ChosenRatiosTakeFromTheBlockThatNeedsLeast) {
  Write({.num_layers = 3});
  WriteSilenced(case_ / "in", case_ / "silent", [](const TensorSpec& spec, int64_t row, int64_t) {
    return spec.role == Role::kUp && spec.layer == 1 && row % 3 != 0;
  });
  PruneFfnOptions options{.ratio = 1.0 / 6, .multiple_of = 16};
  RunPass(PruneFfnPass(options), case_ / "silent", case_ / "uniform", windows_);
  options.ratios = {.chosen = true, .rounds = 2};
  const Json report = RunPass(PruneFfnPass(options), case_ / "silent", case_ / "chosen", windows_);
  const ModelConfig chosen = Checkpoint::Open(case_ / "chosen").config();
  const std::vector<LayerSizes> sizes = SizesOfLayers(chosen);
  EXPECT_LE(sizes[1].intermediate_size, 64);
  EXPECT_EQ(sizes[0].intermediate_size + sizes[1].intermediate_size + sizes[2].intermediate_size, 3 * 80);
  EXPECT_EQ(ParameterCount(chosen), ParameterCount(Checkpoint::Open(case_ / "uniform").config()));
  EXPECT_EQ(report["ratios"][0]["levels"], Json({4, 4, 4}));
  EXPECT_GT(report["ratios"][0]["kl_nats"], report["ratios"][1]["kl_nats"]);
  EXPECT_LT(MaxLogitChange("silent", "chosen"), MaxLogitChange("silent", "uniform"));
  // Killed when as much everywhere was measured.
  ReportRows rows(case_ / "rows");
  rows.Add("ratios 0", report["ratios"][0]);
  const Json again = RunPass(PruneFfnPass(options), case_ / "silent", case_ / "again", windows_, nullptr, rows);
  EXPECT_EQ(CheckpointBytes(case_ / "again"), CheckpointBytes(case_ / "chosen"));
  EXPECT_EQ(again["ratios"].size(), report["ratios"].size());
  EXPECT_ERROR(RunPass(PruneFfnPass(options), case_ / "chosen", case_ / "twice", windows_),
               "only as many in every block can be pruned");
}

TEST(PruneFfnPlan, SaysTheNewWidthAndRefusesWhatCannotBe) {
  PlanInput input;
  input.config = ParseConfig(TinyConfigJson({}), "config.json");
  input.calibration_windows = 8;
  input.window_tok = 64;
  input.where = "recipe.yaml:3: stages[0]";
  const Planned planned = PruneFfnPass({.ratio = 0.3, .multiple_of = 32}).Plan(input);
  EXPECT_EQ(planned.config.intermediate_size, 64);
  EXPECT_EQ(planned.output_B, WeightFileBytes(planned.config));
  EXPECT_GT(planned.peak_memory_B, 0u);
  EXPECT_EQ(planned.notes[0], "weights of 64 inputs are refitted to 448 tokens; better 12 windows of 64");
  EXPECT_ERROR(PruneFfnPass({.ratio = 1}).Plan(input), "stages[0].ratio: 1 is not in [0, 1)");
  EXPECT_ERROR(PruneFfnPass({.multiple_of = 128}).Plan(input), "stages[0].multiple_of: 128 is not in 1 to the 96");
  EXPECT_ERROR(PruneFfnPass({.multiple_of = 8, .removal = {.ridge = 0}}).Plan(input),
               "stages[0].ridge: 0 is not above 0");
  EXPECT_ERROR(PruneFfnPass({.multiple_of = 8, .removal = {.score = Score::kTaylor, .output_kl = false}}).Plan(input),
               "stages[0].score: taylor looks at gradients of the model's output; it needs output: kl");
  EXPECT_ERROR(PruneFfnPass({.multiple_of = 10, .ratios = {.chosen = true}}).Plan(input),
               "stages[0].multiple_of: 96 channels are not a multiple of 10, so blocks cannot give each other any");
  EXPECT_ERROR(
      PruneFfnPass({.multiple_of = 8, .ratios = {.chosen = true}, .removal = {.output_kl = false}}).Plan(input),
      "stages[0].ratios: chosen goes by what the model is expected to lose; it needs output: kl");
  const Planned uniform = PruneFfnPass({.multiple_of = 8}).Plan(input);
  const Planned chosen = PruneFfnPass({.multiple_of = 8, .ratios = {.chosen = true}}).Plan(input);
  EXPECT_GT(chosen.peak_memory_B, uniform.peak_memory_B);
  EXPECT_EQ(ParameterCount(chosen.config), ParameterCount(uniform.config));
  EXPECT_TRUE(LayersDiffer(chosen.config)) << "later stages are planned for that";
  EXPECT_FALSE(
      LayersDiffer(PruneFfnPass({.ratio = 0, .multiple_of = 8, .ratios = {.chosen = true}}).Plan(input).config));
  input.calibration_windows = 2;
  EXPECT_ERROR(PruneFfnPass({.multiple_of = 8}).Plan(input),
               "stages[0]: 64 calibration tokens beside those held out are less than the 72 inputs whose weights are "
               "refitted to them; at least 2 windows of 64 tokens, better 13, or repair: false");
  EXPECT_NO_THROW(PruneFfnPass({.multiple_of = 8, .removal = {.repair = false}}).Plan(input));
  input.config.allocation.emplace();
  EXPECT_ERROR(PruneFfnPass({.multiple_of = 8}).Plan(input), "put this stage before quantize.allocate");
}

}  // namespace
}  // namespace ecld
