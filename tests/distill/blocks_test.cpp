#include "distill/blocks.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "core/files.h"
#include "model/block_training.h"
#include "quantize/round.h"
#include "tests/distill/trained_student.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/near.h"
#include "tests/testing/run_pass.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

TEST(BlockLoss, IsRelativeToEachTokenOfTheTeacher) {
  at::manual_seed(1);
  at::Tensor teacher = at::randn({2, 5, 16});
  EXPECT_EQ(BlockLoss(teacher, teacher).item<float>(), 0);
  EXPECT_NEAR(BlockLoss(at::zeros_like(teacher), teacher).item<float>(), 1, 1e-6);
  at::Tensor scale = at::ones({2, 5, 1});
  scale[0][0] = 1000;  // one enormous token changes nothing
  EXPECT_NEAR(BlockLoss(1.1 * teacher * scale, teacher * scale).item<float>(), 0.01, 1e-5);
}

class DistillBlocks : public testing::Test {
 protected:
  DistillBlocks() {
    config_ = WriteTinyCheckpoint(directory_ / "teacher", {.seed = 1, .dtype = DType::kBF16});
    windows_ = RandomWindows(16, 16, config_.vocab_size);
    WriteNoisy(directory_ / "teacher", directory_ / "student");
  }
  Json Run(const DistillBlocksOptions& options, const char* student, const char* out) {
    const Checkpoint teacher = Checkpoint::Open(directory_ / "teacher");
    return RunPass(DistillBlocksPass(options), directory_ / student, directory_ / out, windows_, &teacher);
  }

  TempDir directory_;
  ModelConfig config_;
  TokenWindows windows_;
};

TEST_F(DistillBlocks, LowersTheHeldOutErrorOfEveryBlock) {
  const Json report = Run({.epochs = 4, .rates = {.weights = 1e-3}}, "student", "out");
  EXPECT_EQ(report["held_out_windows"], 2);
  ASSERT_EQ(report["blocks"].size(), 2u);
  for (const auto& row : report["blocks"]) {
    EXPECT_TRUE(row["trained"].get<bool>());
    EXPECT_LT(row["held_out_after"].get<double>(), 0.9 * row["held_out_before"].get<double>()) << row.dump();
  }
}

TEST_F(DistillBlocks, KeepsABlockThatTrainingMadeWorse) {
  const Json report = Run({.rates = {.weights = 100}}, "student", "out");
  const Checkpoint student = Checkpoint::Open(directory_ / "student"), out = Checkpoint::Open(directory_ / "out");
  for (const auto& row : report["blocks"]) {
    EXPECT_FALSE(row["trained"].get<bool>());
    EXPECT_EQ(row["held_out_after"], row["held_out_before"]);
  }
  for (const auto& spec : student.table())
    EXPECT_TRUE(Near(out.ReadFloats(spec), student.ReadFloats(spec), Exact())) << spec.name;
}

TEST_F(DistillBlocks, SameSeedGivesTheSameBytesAlsoAfterAnInterruption) {
  const DistillBlocksOptions options{.rates = {.weights = 1e-3}};
  Run(options, "student", "whole");
  Run(options, "student", "again");
  EXPECT_EQ(CheckpointBytes(directory_ / "again"), CheckpointBytes(directory_ / "whole"));
  const Checkpoint whole = Checkpoint::Open(directory_ / "whole");
  {
    CheckpointWriter writer(directory_ / "resumed", whole.config());
    for (const auto& spec : writer.table())
      if (spec.layer < 1) writer.CopyFrom(whole, spec);
    writer.Commit(true);
  }
  const Json report = Run(options, "student", "resumed");
  EXPECT_TRUE(report["blocks"][0]["trained"].is_null());
  EXPECT_EQ(CheckpointBytes(directory_ / "resumed"), CheckpointBytes(directory_ / "whole"));
}

// What is packed stays on its grid, and packed ends stay as they are.
TEST_F(DistillBlocks, TrainsInsideTheGrid) {
  RunPass(RoundPass({{.format = {2, 32, false}, .embeddings = PackedFormat{4, 32, true}}, Clip::kMse}),
          directory_ / "teacher", directory_ / "packed");
  const DistillBlocksOptions options{.epochs = 8, .rates = {.weights = 1e-3, .codes = 0.02, .scales = 5e-3}};
  const Json report = Run(options, "packed", "out");
  for (const auto& row : report["blocks"]) {
    EXPECT_TRUE(row["trained"].get<bool>());
    EXPECT_LT(row["held_out_after"].get<double>(), 0.98 * row["held_out_before"].get<double>()) << row.dump();
  }
  const Checkpoint packed = Checkpoint::Open(directory_ / "packed"), out = Checkpoint::Open(directory_ / "out");
  EXPECT_EQ(ReadFile(directory_ / "out" / "config.json"), ReadFile(directory_ / "packed" / "config.json"));
  for (const TensorSpec& spec : packed.table()) {
    const bool same = packed.ReadFloats(spec) == out.ReadFloats(spec);
    EXPECT_EQ(same, spec.layer < 0) << spec.name;
  }
}

TEST_F(DistillBlocks, KeepsCodesOfABlockThatTrainingMadeWorse) {
  RunPass(RoundPass({{.format = {2, 32, false}}, Clip::kMse}), directory_ / "teacher", directory_ / "packed");
  const Json report = Run({.rates = {.codes = 1, .scales = 1}}, "packed", "out");
  for (const auto& row : report["blocks"]) EXPECT_FALSE(row["trained"].get<bool>());
  EXPECT_EQ(CheckpointBytes(directory_ / "out"), CheckpointBytes(directory_ / "packed"));
}

constexpr LearningRates kRates{.weights = 1e-3};

TEST(DistillBlocksPlan, RefusesWhatCannotBe) {
  PlanInput input;
  input.config = ParseConfig(TinyConfigJson({}), "config.json");
  input.calibration_windows = 8;
  input.window_tok = 64;
  input.where = "recipe.yaml:3: stages[0]";
  EXPECT_ERROR(DistillBlocksPass({.rates = kRates}).Plan(input), "stages[0]: needs a teacher");
  input.teacher = ParseConfig(TinyConfigJson({.intermediate_size = 128}), "config.json");
  EXPECT_GT(DistillBlocksPass({.rates = kRates}).Plan(input).peak_memory_B,
            0u);  // another feed-forward width is what it is for
  EXPECT_ERROR(DistillBlocksPass({.epochs = 0, .rates = kRates}).Plan(input), "stages[0].epochs: 0 is below 1");
  EXPECT_ERROR(DistillBlocksPass({.rates = {.codes = 1, .scales = 1}}).Plan(input),
               "stages[0].learning_rate: 0 is not above 0");
  EXPECT_ERROR(DistillBlocksPass({.rates = kRates, .batch_windows = 0}).Plan(input),
               "stages[0].batch_windows: 0 is below 1");
  EXPECT_ERROR(DistillBlocksPass({.rates = kRates, .held_out = 1}).Plan(input),
               "stages[0].held_out: 1 is not between 0 and 1");
  input.calibration_windows = 1;
  EXPECT_ERROR(DistillBlocksPass({.rates = kRates}).Plan(input),
               "stages[0]: 1 calibration windows leave none to train on");
  input.calibration_windows = 8;
  input.teacher = ParseConfig(TinyConfigJson({.num_layers = 3}), "config.json");
  EXPECT_ERROR(DistillBlocksPass({.rates = kRates}).Plan(input),
               "the number of blocks is 2 in the student and 3 in the teacher");
  input.teacher = input.config;
  input.teacher->quantization.emplace();
  EXPECT_ERROR(DistillBlocksPass({.rates = kRates}).Plan(input), "the teacher is quantized too");
}

}  // namespace
}  // namespace ecld
