#include "search/search.h"

#include <gtest/gtest.h>

#include <fstream>

#include "checkpoint/checkpoint.h"
#include "core/files.h"
#include "recipes/pass_table.h"
#include "recipes/runner.h"
#include "search/candidates.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

class SearchRecipe : public testing::Test {
 protected:
  SearchRecipe() {
    WriteTinyCheckpoint(dir_ / "model", {.dtype = DType::kBF16, .tied = true});
    std::ofstream text(dir_ / "text.txt"), held_out(dir_ / "held_out.txt");
    for (int i = 0; i < 300; ++i) text << "the other line " << i * i << " of the text\n";
    for (int i = 0; i < 90; ++i) held_out << "and one more, " << i * 7 << ", of the rest\n";
    request_ = {.model = dir_ / "model", .out = dir_ / "out", .held_out = dir_ / "held_out.txt", .window_tok = 64};
  }

  Recipe Parse(const std::string& search) const {
    return ParseRecipe(
        "version: 1\nstages:\n- {pass: prune.vocab, tokens: 280, multiple_of: 8}\n"
        "- {pass: quantize.round, bits: 4, group_size: 32}\n" +
            search,
        "recipe.yaml", {"calibration.text=" + (dir_ / "text.txt").string()});
  }
  Recipe Sizes() const {
    return Parse(
        "search:\n- {at: stages.0.tokens, values: [off, 288, 272]}\n- {at: stages.1.bits, values: [2, 3, 4]}\n");
  }

  TempDir dir_;
  SearchRequest request_;
};

TEST_F(SearchRecipe, ACandidateIsAPlainRecipe) {
  const Recipe recipe = Sizes();
  EXPECT_EQ(NameOf(recipe, {0, 1}), "stages.0.tokens: off, stages.1.bits: 3");
  const Recipe off = ParseRecipe(RecipeAt(recipe, {0, 1}), "x"), on = ParseRecipe(RecipeAt(recipe, {2, 0}), "x");
  ASSERT_EQ(off.stages.size(), 1u);
  EXPECT_EQ(off.stages[0].pass, "quantize.round");
  ASSERT_EQ(on.stages.size(), 2u);
  EXPECT_TRUE(on.variations.empty());
  EXPECT_NE(RecipeAt(recipe, {2, 0}).find("tokens: 272"), std::string::npos);
  EXPECT_EQ(recipe.stages.size(), 2u);  // as it was
  const Recipe allocated = ParseRecipe(
      "version: 1\nstages: [{pass: quantize.allocate, bits_per_weight: 4}]\n"
      "search: [{at: stages.0.fuse, values: [true, false]}]",
      "x");
  EXPECT_NE(RecipeAt(allocated, {1}).find("bits_per_weight: 4"), std::string::npos);
  const std::string text = RecipeAt(allocated, {1}, 50'500'000);
  for (const char* line : {"budget_MB: 50.5\n", "bits_per_weight: 0\n", "fuse: false\n"})
    EXPECT_NE(text.find(line), std::string::npos) << text;
}

TEST_F(SearchRecipe, TheBestCandidateIsWhatItsRecipeMakesAlone) {
  const Recipe recipe = Sizes();
  const Json result = Search(recipe, request_);
  double least = INFINITY;
  std::string best, text;
  for (const Json& trial : result["trials"])
    if (trial["bits_per_byte"] < least) {
      least = trial["bits_per_byte"];
      best = trial["name"];
      text = trial["recipe"];
    }
  EXPECT_EQ(result["chosen"], best);
  EXPECT_LE(least, result["trials"][0]["bits_per_byte"].get<double>());
  EXPECT_GE(result["trials"].size(), 3u);
  EXPECT_EQ(ReadJsonFile(dir_ / "out" / "search.json"), result);
  EXPECT_EQ(ReadJsonFile(dir_ / "out" / "report.json")["output"]["directory"], (dir_ / "out").string());
  EXPECT_FALSE(fs::exists(dir_ / "out.search"));

  Recipe alone = ParseRecipe(text, "alone.yaml");
  RunRecipe(alone, PrepareStages(alone), {.model = dir_ / "model", .out = dir_ / "alone"});
  EXPECT_EQ(ReadFile(dir_ / "alone" / "model.safetensors"), ReadFile(dir_ / "out" / "model.safetensors"));
  EXPECT_ERROR(Search(recipe, request_), "exists; --overwrite replaces it");
}

TEST_F(SearchRecipe, WhatAPlanRefusesOrABudgetForbidsIsLeftOut) {
  request_.budget_B = 4 * Checkpoint::Open(dir_ / "model").WeightBytes();
  const std::string values = "search: [{at: stages.0.tokens, values: [3, off]}]\n";
  const Json result = Search(Parse(values), request_);
  EXPECT_NE(result["trials"][0]["refused"].get<std::string>().find("is below what cannot go"), std::string::npos);
  EXPECT_EQ(result["chosen"], "stages.0.tokens: off");
  request_.out = dir_ / "none";
  request_.budget_B = 10;
  EXPECT_ERROR(Search(Parse(values), request_), "no candidate could be made");
}

TEST_F(SearchRecipe, APlanSaysHowManyAndTouchesNothing) {
  const SearchPlan plan = PlanSearch(Sizes(), request_);
  EXPECT_EQ(plan.fewest, 3);
  EXPECT_EQ(plan.most, 9);
  EXPECT_GT(plan.peak_memory_B, 0u);
  EXPECT_FALSE(fs::exists(dir_ / "out.search"));
}

TEST_F(SearchRecipe, WhatCannotBeSearchedIsRefused) {
  const auto search = [&](const std::string& text) { return Search(Parse("search:\n" + text), request_); };
  EXPECT_ERROR(Search(Parse(""), request_), "has nothing to search");
  EXPECT_ERROR(search("- {at: seed, values: [1, 2]}\n"), "\"seed\" is no option of a stage");
  EXPECT_ERROR(search("- {at: stages.7.bits, values: [1, 2]}\n"), "there is no stages.7; the recipe has 2");
  EXPECT_ERROR(search("- {at: stages.1.bits, values: [4]}\n"), "fewer than two values");
  EXPECT_ERROR(search("- {at: stages.1.bits, values: [4, 3]}\n- {at: stages.1.bits, values: [2, 3]}\n"),
               "stages.1.bits is varied twice");
  EXPECT_ERROR(search("- {at: stages.1.bitz, values: [4, 3]}\n"), "bitz");
  EXPECT_ERROR(search("- {at: stages.0.tokens, values: [280, off]}\n- {at: stages.1.bits, values: [4, off]}\n"),
               "every stage may be off");
  EXPECT_ERROR(search("- {at: stages.1.bits, values: [4, 3], order: 1}\n"), "order");
  request_.held_out = dir_ / "text.txt";
  EXPECT_ERROR(search("- {at: stages.1.bits, values: [4, 3]}\n"), "is calibration text");
}

}  // namespace
}  // namespace ecld
