#include "recipes/sampled_calibration.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/files.h"
#include "core/json.h"
#include "recipes/pass_table.h"
#include "recipes/runner.h"
#include "runtime/session.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

class SampledCalibration : public testing::Test {
 protected:
  SampledCalibration() { WriteTinyCheckpoint(directory_ / "model", {.dtype = DType::kBF16}); }
  Checkpoint Model() const { return Checkpoint::Open(directory_ / "model"); }
  std::vector<std::vector<int32_t>> Sample(int64_t windows, uint64_t seed, const std::string& file) const {
    return SampleCalibration({.source = "model", .windows = windows, .window_tok = 24, .seed = seed}, Model(),
                             directory_ / file)
        .windows;
  }

  TempDir directory_;
};

TEST_F(SampledCalibration, TheSeedDecidesAndTheNumberOfWindowsDoesNot) {
  const auto windows = Sample(5, 7, "a");
  ASSERT_EQ(windows.size(), 5u);
  for (const auto& window : windows) {
    ASSERT_EQ(window.size(), 24u);
    for (int32_t id : window) EXPECT_TRUE(id >= 0 && id < Model().config().vocab_size);
  }
  EXPECT_EQ(Sample(5, 7, "b"), windows);
  const auto fewer = Sample(3, 7, "c");
  EXPECT_TRUE(std::equal(fewer.begin(), fewer.end(), windows.begin()));
  EXPECT_NE(Sample(5, 8, "d"), windows);
  EXPECT_NE(windows[0], windows[1]);
}

TEST_F(SampledCalibration, AFewOfTheLikeliestTokensComeFirst) {
  const RuntimeModel model(Model(), {.precision = Precision::kFast});
  ThreadPool pool;
  Session session(model, pool);
  const auto vocab = static_cast<size_t>(model.config().vocab_size),
             hidden = static_cast<size_t>(model.config().hidden_size);
  int64_t unlikely = 0;
  for (const auto& window : Sample(4, 1, "a")) {
    KvCache cache(model);
    const std::span<const float> states = session.Forward({{&cache, window}});
    for (size_t token = 0; token + 1 < window.size(); ++token) {
      std::vector<float> logits(vocab);
      session.Logits(states.subspan(token * hidden, hidden), logits);
      const auto likeliest = std::max_element(logits.begin(), logits.end()) - logits.begin();
      if (token < 4)
        EXPECT_EQ(window[token + 1], likeliest);
      else
        unlikely += window[token + 1] != likeliest;
    }
  }
  EXPECT_GT(unlikely, 40);  // of 76: a random model is sure of nothing
}

TEST_F(SampledCalibration, WhatWasWrittenBeforeIsReadAgain) {
  WriteFileAtomically(directory_ / "kept", Json(std::vector<std::vector<int32_t>>{{1, 2, 3}}).dump());
  EXPECT_EQ(Sample(5, 7, "kept"), (std::vector<std::vector<int32_t>>{{1, 2, 3}}));
  const auto windows = Sample(2, 7, "new");
  EXPECT_EQ(Sample(9, 9, "new"), windows);
}

TEST_F(SampledCalibration, SaysWhatItCostsAndRefusesWindowsThatTheModelCannotHold) {
  const CalibrationOptions options = {.source = "model", .windows = 4, .window_tok = 32};
  const SamplingCost cost = CostOfSampling(options, Model());
  EXPECT_GT(cost.seconds, 0);
  EXPECT_EQ(cost.memory_B, 4u * 2 * 2 * 2 * 16 * 32 * 2);  // windows, layers, key and value, heads, elements, tokens
  EXPECT_ERROR(SampleCalibration({.source = "model", .window_tok = 1024}, Model(), directory_ / "x"),
               "calibration.window_tok: 1024 is more than the 512 positions");
}

TEST_F(SampledCalibration, ARecipeNeedsNoText) {
  Recipe recipe = ParseRecipe(
      "name: free\nversion: 1\ncalibration: {source: model, windows: 4, window_tok: 16}\n"
      "stages: [{pass: quantize.gptq, bits: 4, group_size: 32}]\n",
      "r.yaml");
  const std::vector<PreparedStage> stages = PrepareStages(recipe);
  RunRecipe(recipe, stages, {.model = directory_ / "model", .out = directory_ / "out"});
  EXPECT_TRUE(std::filesystem::exists(directory_ / "out" / "model.safetensors"));
  EXPECT_ERROR(ParseRecipe("name: free\nversion: 1\ncalibration: {source: model, text: t.txt}\n"
                           "stages: [{pass: quantize.gptq}]\n",
                           "r.yaml"),
               "calibration.text: is of no use where source is model");
}

}  // namespace
}  // namespace ecld
