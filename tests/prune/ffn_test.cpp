#include "prune/ffn.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "model/block.h"
#include "model/embedding.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/near.h"
#include "tests/testing/run_pass.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

std::vector<float> Values(const at::Tensor& tensor) {
  at::Tensor flat = tensor.detach().contiguous();
  return {flat.data_ptr<float>(), flat.data_ptr<float>() + flat.numel()};
}

std::vector<float> LogitsOf(const std::filesystem::path& directory, const TokenWindows& windows) {
  const Checkpoint checkpoint = Checkpoint::Open(directory);
  at::Tensor hidden = Embed(checkpoint, windows.windows);
  for (int64_t layer = 0; layer < checkpoint.config().num_layers; ++layer)
    hidden = Block::Load(checkpoint, layer).Forward(TorchOps(), hidden);
  return Values(Logits(checkpoint, hidden));
}

TEST(KeptChannels, AreTheNearestMultiple) {
  EXPECT_EQ(KeptChannels(1536, 0.25, 128), 1152);
  EXPECT_EQ(KeptChannels(14336, 0.2, 256), 11520);
  EXPECT_EQ(KeptChannels(1000, 0, 128), 1000);     // nothing to remove: also not to reach a multiple
  EXPECT_EQ(KeptChannels(1000, 0.01, 128), 1000);  // the nearest multiple is more than there are
  EXPECT_EQ(KeptChannels(1536, 0.999, 128), 128);
}

TEST(ChooseChannels, KeepsTheHighestInTheirOrder) {
  at::Tensor kept = ChooseChannels(at::tensor({3.0f, 1.0f, 5.0f, 1.0f, 4.0f}), 4);
  EXPECT_TRUE(at::equal(kept, at::tensor({0, 1, 2, 4}, at::kLong)));
}

TEST(ScoreChannels, IsTheEnergyAChannelAddsToTheOutput) {
  at::manual_seed(1);
  at::Tensor down = at::randn({6, 10}), x = at::randn({30, 10});
  at::Tensor scores = ScoreChannels(down, x.square().sum(0));
  for (int64_t j = 0; j < 10; ++j) {
    at::Tensor added = at::outer(x.select(1, j), down.select(1, j));
    EXPECT_NEAR(scores[j].item<float>(), added.norm().item<float>(), 1e-4);
  }
}

TEST(RepairDown, FindsTheExactAnswerWhereThereIsOne) {
  // Channels 0 and 1 are sums of the others, so nothing need be lost without them.
  at::manual_seed(2);
  at::Tensor x = at::randn({200, 8}), down = at::randn({5, 8});
  x.select(1, 0).copy_(x.select(1, 3) + 2 * x.select(1, 4));
  x.select(1, 1).copy_(x.select(1, 5) - x.select(1, 6));
  at::Tensor kept = at::arange(2, 8);
  at::Tensor repaired = RepairDown(down, x.t().matmul(x), kept, 1e-6);
  at::Tensor expected = at::linear(x, down), actual = at::linear(x.index_select(1, kept), repaired);
  EXPECT_TRUE(Near(Values(actual), Values(expected), Relative(1e-3)));
}

TEST(RepairDown, NeverFitsWorseThanPlainCutting) {
  at::manual_seed(3);
  at::Tensor x = at::randn({40, 12}).matmul(at::randn({12, 12})), down = at::randn({5, 12});
  at::Tensor kept = at::arange(0, 12, 2), kept_x = x.index_select(1, kept), target = at::linear(x, down);
  const float cut = (at::linear(kept_x, down.index_select(1, kept)) - target).norm().item<float>();
  for (double ridge : {1e-4, 1e-2, 1.0, 1e3}) {
    at::Tensor repaired = RepairDown(down, x.t().matmul(x), kept, ridge);
    EXPECT_LT((at::linear(kept_x, repaired) - target).norm().item<float>(), cut) << ridge;
  }
}

TEST(RepairDown, LeavesTheRestAloneWhenWhatGoesIsSilent) {
  at::manual_seed(4);
  at::Tensor x = at::randn({40, 6}), down = at::randn({5, 6});
  x.select(1, 2).zero_();
  at::Tensor kept = at::tensor({0, 1, 3, 4, 5}, at::kLong);
  at::Tensor repaired = RepairDown(down, x.t().matmul(x), kept, 0.01);
  EXPECT_TRUE(Near(Values(repaired), Values(down.index_select(1, kept)), Exact()));
  EXPECT_TRUE(
      Near(Values(RepairDown(down, at::zeros({6, 6}), kept, 0.01)), Values(down.index_select(1, kept)), Exact()));
}

class PruneFfn : public testing::TestWithParam<Family> {
 protected:
  PruneFfn() {
    config_ = WriteTinyCheckpoint(directory_ / "in", {.family = GetParam(), .bias = GetParam() == Family::kLlama});
    windows_ = RandomWindows(4, 24, config_.vocab_size);
  }
  TempDir directory_;
  ModelConfig config_;
  TokenWindows windows_;
};

TEST_P(PruneFfn, OfNothingChangesNoBit) {
  RunPass(PruneFfnPass({.ratio = 0, .multiple_of = 32}), directory_ / "in", directory_ / "out", windows_);
  EXPECT_TRUE(Near(LogitsOf(directory_ / "out", windows_), LogitsOf(directory_ / "in", windows_), Exact()));
}

TEST_P(PruneFfn, TakesSilentChannelsFirstAndNoLogitMoves) {
  // A third of the channels, here and there, give nothing: zero up rows (and biases) or zero down columns.
  const Checkpoint in = Checkpoint::Open(directory_ / "in");
  CheckpointWriter silenced(directory_ / "silent", config_);
  for (const auto& spec : in.table()) {
    std::vector<float> values = in.ReadFloats(spec);
    const int64_t columns = spec.matrix() ? spec.shape[1] : 1;
    for (int64_t i = 0; i < spec.Elements(); ++i) {
      const int64_t row = i / columns, column = i % columns;
      const bool up = spec.role == Role::kUp && row % 6 == 1,
                 down = spec.role == Role::kDown && !spec.bias && column % 6 == 4;
      if (up || down) values[static_cast<size_t>(i)] = 0;
    }
    silenced.WriteFloats(spec, values);
  }
  silenced.Finish(directory_ / "in");
  for (bool repair : {false, true}) {
    const auto out = directory_ / (repair ? "repaired" : "cut");
    RunPass(PruneFfnPass({.ratio = 1.0 / 3, .multiple_of = 32, .repair = repair}), directory_ / "silent", out,
            windows_);
    EXPECT_EQ(Checkpoint::Open(out).config().intermediate_size, 64);
    const TokenWindows others = RandomWindows(2, 24, config_.vocab_size, 9);
    EXPECT_TRUE(Near(LogitsOf(out, others), LogitsOf(directory_ / "silent", others), {.max_abs = 1e-4})) << repair;
  }
}

TEST_P(PruneFfn, InterruptedRunEndsInTheSameBytes) {
  const PruneFfnPass pass({.ratio = 0.4, .multiple_of = 8});
  RunPass(pass, directory_ / "in", directory_ / "whole", windows_);
  // Keeps the first block and both ends of the whole result, as a run that was killed after its first block would.
  const Checkpoint whole = Checkpoint::Open(directory_ / "whole"), in = Checkpoint::Open(directory_ / "in");
  {
    CheckpointWriter writer(directory_ / "resumed", whole.config());
    for (const auto& spec : writer.table())
      if (spec.layer < 1) writer.CopyFrom(whole, spec);
    writer.Commit(true);
  }
  const Json report = RunPass(pass, directory_ / "in", directory_ / "resumed", windows_);
  EXPECT_TRUE(report["blocks"][0]["kept_energy"].is_null());
  EXPECT_FALSE(report["blocks"][1]["kept_energy"].is_null());
  EXPECT_EQ(CheckpointBytes(directory_ / "resumed"), CheckpointBytes(directory_ / "whole"));
}

INSTANTIATE_TEST_SUITE_P(Families, PruneFfn,
                         testing::Values(Family::kLlama, Family::kQwen2, Family::kQwen3, Family::kMistral),
                         [](const auto& family) { return std::string(Name(family.param)); });

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
  EXPECT_ERROR(PruneFfnPass({.ratio = 1}).Plan(input), "stages[0].ratio: 1 is not in [0, 1)");
  EXPECT_ERROR(PruneFfnPass({.multiple_of = 128}).Plan(input), "stages[0].multiple_of: 128 is not in 1 to the 96");
  EXPECT_ERROR(PruneFfnPass({.multiple_of = 8, .ridge = 0}).Plan(input), "stages[0].ridge: 0 is not above 0");
}

}  // namespace
}  // namespace ecld
