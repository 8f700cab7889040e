// A budget from recipe to file: allocation, then each rounding pass, run as a user's recipe is.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>

#include "core/files.h"
#include "recipes/pass_table.h"
#include "recipes/runner.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

class AllocateRecipe : public testing::Test {
 protected:
  AllocateRecipe() {
    WriteTinyCheckpoint(dir_ / "model", {.dtype = DType::kBF16, .tied = true});
    std::ofstream text(dir_ / "text.txt");
    for (int i = 0; i < 100; ++i) text << "line " << i * i << " of the text\n";
  }

  std::string Text(const std::string& stages) const {
    return fmt::format("version: 1\ncalibration: {{text: {}, windows: 8, window_tok: 16}}\nstages:\n{}",
                       (dir_ / "text.txt").string(), stages);
  }

  TempDir dir_;
};

TEST_F(AllocateRecipe, FeedsEveryRoundingPass) {
  for (const char* pass : {"quantize.round", "quantize.gptq", "quantize.tune"}) {
    const std::string more = pass == std::string("quantize.tune") ? "    steps: 2\n" : "";
    Recipe recipe = ParseRecipe(
        Text(fmt::format("  - pass: quantize.allocate\n    bits_per_weight: 5\n  - pass: {}\n{}", pass, more)),
        "r.yaml");
    const std::vector<PreparedStage> stages = PrepareStages(recipe);
    const RunRequest request{.model = dir_ / "model", .out = dir_ / pass};
    const RunPlan plan = PlanRecipe(recipe, stages, request);
    const Json report = RunRecipe(recipe, stages, request).report;
    const uint64_t written = report["output"]["weights_B"];
    const double budget_B = 5.0 * report["output"]["params"].get<double>() / 8;
    EXPECT_EQ(written, report["stages"][0]["details"]["allocated_B"]) << pass;
    EXPECT_LE(static_cast<double>(written), budget_B) << pass;
    EXPECT_LE(static_cast<double>(plan.stages[1].planned.output_B), budget_B) << pass;
    EXPECT_EQ(ReadJsonFile(dir_ / pass / "config.json").contains("ecld_allocation"), false) << pass;
  }
}

// A run may begin with a model that is quantized already.
TEST_F(AllocateRecipe, WhatAnotherRunHasRoundedLearnsFromItsTeacher) {
  const auto run = [&](const std::string& text, const char* model, const char* out) {
    Recipe recipe = ParseRecipe(text, "r.yaml");
    const std::vector<PreparedStage> stages = PrepareStages(recipe);
    return RunRecipe(recipe, stages, {.model = dir_ / model, .out = dir_ / out}).report;
  };
  run(Text("  - pass: quantize.round\n    bits: 3\n"), "model", "rounded");
  const std::string train = Text("  - {pass: distill.quantized, epochs: 1, batch_windows: 2}\n");
  EXPECT_ERROR(run(train, "rounded", "trained"), "the teacher is quantized too");
  run(train + fmt::format("teacher: {}\n", (dir_ / "model").string()), "rounded", "trained");
  EXPECT_EQ(ReadJsonFile(dir_ / "trained" / "config.json"), ReadJsonFile(dir_ / "rounded" / "config.json"));
}

TEST_F(AllocateRecipe, OptionsAreReadAndChecked) {
  auto prepare = [&](const std::string& options) {
    Recipe recipe = ParseRecipe(Text("  - pass: quantize.allocate\n" + options), "r.yaml");
    return PrepareStages(recipe);
  };
  EXPECT_EQ(prepare("    budget_MB: 1\n    formats: [{bits: 3, group_size: 64}, {bits: 8}]\n").size(), 1u);
  EXPECT_ERROR(prepare("    formats: [{bits: 7}]\n"), "stages[0].formats[0]: bits is 7");
  EXPECT_ERROR(prepare("    formats: [{bit: 4}]\n"), "unknown key \"bit\" (did you mean bits?)");
}

}  // namespace
}  // namespace ecld
