// Recipes that cut the vocabulary: what stages behind the cut are given, and what teacher they may have.

#include <gtest/gtest.h>

#include <fstream>

#include "checkpoint/tokenizer/token_map.h"
#include "checkpoint/tokenizer/tokenizer.h"
#include "core/files.h"
#include "recipes/pass_table.h"
#include "recipes/runner.h"
#include "tests/testing/cut_tiny.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

class VocabRecipe : public testing::Test {
 protected:
  VocabRecipe() {
    WriteTinyCheckpoint(dir_ / "model");
    std::ofstream text(dir_ / "text");
    for (int i = 0; i < 200; ++i) text << "the " << i * i << " is the square of a number and of another on the way\n";
    request_ = {.model = dir_ / "model", .out = dir_ / "out"};
  }

  Recipe Parse(const std::string& stages, const std::string& extra = "") const {
    return ParseRecipe("version: 1\ncalibration: {windows: 4, window_tok: 32}\nstages:\n" + stages + extra,
                       "recipe.yaml", {"calibration.text=" + (dir_ / "text").string()});
  }
  Json Run(Recipe recipe) const {
    const std::vector<PreparedStage> stages = PrepareStages(recipe);
    return RunRecipe(recipe, stages, request_).report;
  }

  TempDir dir_;
  RunRequest request_;
};

constexpr char kCut[] = "  - {pass: prune.vocab, tokens: 264, multiple_of: 2}\n";
constexpr char kDistill[] = "  - {pass: distill.blocks, epochs: 1, batch_windows: 2}\n";

// Keeps the windows that it is given.
class SeeWindows : public Pass {
 public:
  TokenWindows* seen = nullptr;
  PassNeeds Needs() const override { return {.calibration = true}; }
  Planned Plan(const PlanInput& input) const override {
    Planned planned;
    planned.config = input.config;
    planned.output_B = WeightFileBytes(input.config);
    return planned;
  }
  void Run(const Checkpoint& in, CheckpointWriter& out, PassContext& context) const override {
    *seen = *context.calibration;
    for (const TensorSpec& spec : out.table()) out.CopyFrom(in, spec);
  }
};

TEST_F(VocabRecipe, StagesBehindTheCutGetTheTextByTheNewTokenizer) {
  Recipe recipe = Parse(std::string(kCut) + kDistill);
  std::vector<PreparedStage> stages = PrepareStages(recipe);
  TokenWindows before, after;
  auto see = [](TokenWindows* seen) {
    auto pass = std::make_unique<SeeWindows>();
    pass->seen = seen;
    return PreparedStage{"test.see", "recipe.yaml", std::move(pass)};
  };
  stages.pop_back();
  stages.insert(stages.begin(), see(&before));
  stages.push_back(see(&after));
  RunRecipe(recipe, stages, request_);
  const auto whole = Tokenizer::Open(dir_ / "model"), cut = Tokenizer::Open(dir_ / "out");
  ASSERT_EQ(after.windows.size(), 4u);
  EXPECT_NE(before.windows, after.windows);
  EXPECT_TRUE(whole->Decode(before.windows[0], false).starts_with("the 0 is the square"));
  EXPECT_TRUE(cut->Decode(after.windows[0], false).starts_with("the 0 is the square"));
}

TEST_F(VocabRecipe, ATeacherIsReadByTheMap) {
  const Json report = Run(Parse(std::string(kCut) + kDistill));
  const Checkpoint out = Checkpoint::Open(dir_ / "out");
  EXPECT_EQ(out.config().vocab_size, 264);
  // The teacher's states are the student's: there is nothing to learn, and each block keeps its weights.
  for (const Json& block : report["stages"][1]["details"]["blocks"])
    EXPECT_LT(block["held_out_before"].get<double>(), 1e-9);
  EXPECT_TRUE(ReadTokenMap(dir_ / "out"));
  EXPECT_EQ(report["stages"][0]["details"]["tokens_after"], 264);
}

TEST_F(VocabRecipe, ATeacherOfAnotherVocabularyIsRefusedBeforeTheRun) {
  CutTinyCheckpoint(dir_ / "model", dir_ / "cut", {262});
  Recipe recipe = Parse(kDistill, "teacher: " + (dir_ / "cut").string() + "\n");
  EXPECT_ERROR(Run(recipe), "has no token for id 262");
  EXPECT_FALSE(fs::exists(dir_ / "out.work"));
  // The other way round it is the teacher that has more.
  request_.model = dir_ / "cut";
  Recipe other = Parse(kDistill, "teacher: " + (dir_ / "model").string() + "\n");
  Run(other);
}

TEST_F(VocabRecipe, TextThatTheModelWritesIsNoText) {
  Recipe recipe = ParseRecipe(std::string("version: 1\ncalibration: {source: model}\nstages:\n") + kCut, "recipe.yaml");
  EXPECT_ERROR(Run(recipe), "counts the tokens of text, and none is named");
}

}  // namespace
}  // namespace ecld
