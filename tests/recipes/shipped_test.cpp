// Every shipped recipe is read, resolved, read again and planned on a real layout; and the table of passes is sound.

#include "recipes/shipped.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "recipes/pass_table.h"
#include "recipes/runner.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

TEST(ShippedRecipes, AreFoundByName) {
  std::vector<std::string> names;
  for (const fs::path& path : ShippedRecipes()) names.push_back(path.stem());
  EXPECT_THAT(names, testing::IsSupersetOf({"quickstart", "w4", "w8"}));
  EXPECT_EQ(ReadRecipe("w4").name, "w4");
  EXPECT_ERROR(ReadRecipe("quikstart"), "quikstart: is neither a file nor a shipped recipe (did you mean quickstart?)");
}

TEST(ShippedRecipes, ResolveToThemselvesAndPlan) {
  TempDir dir;
  std::ofstream(dir / "text.txt") << std::string(200'000, 'x');
  WriteTinyCheckpoint(dir / "model",
                      {.hidden_size = 128, .intermediate_size = 1024, .num_layers = 3, .vocab_size = 640});
  const std::string calibration = "calibration.text=" + (dir / "text.txt").string();
  for (const fs::path& path : ShippedRecipes()) {
    SCOPED_TRACE(path.string());
    Recipe recipe = ReadRecipe(path.string(), {calibration});
    const std::vector<PreparedStage> stages = PrepareStages(recipe);
    EXPECT_EQ(recipe.name, path.stem());
    EXPECT_FALSE(recipe.description.empty());

    Recipe again = ParseRecipe(recipe.Resolved(), "again.yaml");
    PrepareStages(again);
    EXPECT_EQ(again.Resolved(), recipe.Resolved());

    const RunPlan plan = PlanRecipe(recipe, stages, {.model = dir / "model", .out = dir / "out"});
    EXPECT_EQ(plan.stages.size(), stages.size());
    EXPECT_LT(plan.stages.back().planned.output_B, plan.stages.front().input_B);
    EXPECT_GT(plan.peak_memory_B, 0u);
  }
}

Recipe OneStage(const std::string& options) {
  return ParseRecipe("version: 1\nstages:\n  - " + options + "\n", "recipe.yaml");
}

void Prepare(const std::string& options) {
  Recipe recipe = OneStage(options);
  PrepareStages(recipe);
}

TEST(PassTable, MakesEveryPassWithoutOptions) {
  for (const PassEntry& entry : PassTable()) {
    Recipe recipe = OneStage(fmt::format("pass: {}", entry.name));
    EXPECT_NE(PrepareStages(recipe).at(0).object, nullptr);
    EXPECT_GT(recipe.stages[0].options.Keys().size(), 1u) << entry.name << " resolves to no options";
  }
}

TEST(PassTable, NamesWhatItDoesNotKnow) {
  EXPECT_ERROR(Prepare("pass: quantize.rounds"),
               "recipe.yaml:3: stages[0].pass: there is no pass \"quantize.rounds\" (did you mean quantize.round, ");
  EXPECT_ERROR(Prepare("{pass: quantize.round, bit: 4}"),
               "recipe.yaml:3: stages[0]: unknown key \"bit\" (did you mean bits?)");
  EXPECT_ERROR(Prepare("{pass: quantize.round, bits: 7}"), "recipe.yaml:3: stages[0]: bits is 7, must be 2 to 6 or 8");
  EXPECT_ERROR(Prepare("{pass: quantize.round, group_size: 12}"), "stages[0]: group_size is 12");
  EXPECT_ERROR(Prepare("{pass: quantize.round, clip: mes}"),
               "stages[0].clip: \"mes\" is not a choice here (did you mean mse?)");
  EXPECT_ERROR(Prepare("{pass: quantize.round, embeddings: {bits: 9}}"),
               "recipe.yaml:3: stages[0].embeddings.bits: expected a whole number from 2 to 8, found \"9\"");
  EXPECT_ERROR(Prepare("{pass: quantize.round, overrides: [{bits: 8}]}"), "stages[0].overrides[0]: names no matrices");
  EXPECT_ERROR(Prepare("{pass: prune.ffn, ratio: 1.5}"),
               "stages[0].ratio: expected a number from 0 to 0.95, found \"1.5\"");
  EXPECT_ERROR(Prepare("{pass: distill.blocks, epochs: 0}"), "stages[0].epochs: expected a whole number");
}

TEST(PassTable, ImpossibleShapesFailAtPlanTime) {
  TempDir dir;
  WriteTinyCheckpoint(dir / "model");
  auto plan = [&](const std::string& options) {
    Recipe recipe = OneStage(options);
    PlanRecipe(recipe, PrepareStages(recipe), {.model = dir / "model", .out = dir / "out"});
  };
  EXPECT_ERROR(plan("{pass: quantize.round, overrides: [{match: \"*.down_prj\", bits: 8}]}"),
               "recipe.yaml:3: stages[0]");
  Recipe twice = ParseRecipe("version: 1\nstages: [{pass: quantize.round}, {pass: quantize.round}]", "recipe.yaml");
  EXPECT_ERROR(PlanRecipe(twice, PrepareStages(twice), {.model = dir / "model", .out = dir / "out"}),
               "recipe.yaml:2: stages[1]");
}

}  // namespace
}  // namespace ecld
