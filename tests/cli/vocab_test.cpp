// A cut vocabulary as a user meets it: `ecld compress` with prune.vocab, and the verbs on what it writes.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "core/files.h"
#include "core/json.h"
#include "tests/cli/program.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

using testing::HasSubstr;

class Vocab : public testing::Test {
 protected:
  Vocab() {
    WriteTinyCheckpoint(dir_ / "model", {.dtype = DType::kBF16, .tied = true});
    std::ofstream text(dir_ / "text.txt");
    for (int i = 0; i < 300; ++i) text << "the other line " << i * i << " of the text\n";
  }

  std::string Path(const std::string& name) const { return (dir_ / name).string(); }
  Outcome Compress(const std::string& tokens) const {
    std::ofstream(dir_ / "recipe.yaml")
        << "version: 1\ncalibration: {windows: 4, window_tok: 64}\nstages:\n  - {pass: prune.vocab, tokens: " << tokens
        << ", multiple_of: 8}\n  - {pass: quantize.gptq, bits: 4, group_size: 32}\n";
    return RunToEnd({"ecld", "compress", Path("recipe.yaml"), "--model", Path("model"), "--out", Path("out"),
                     "--calibration", Path("text.txt")});
  }

  TempDir dir_;
};

TEST_F(Vocab, CompressedItIsValidatedEvaluatedRunAndExported) {
  const Outcome compressed = Compress("272");
  ASSERT_EQ(compressed.status, 0) << compressed.err;
  EXPECT_THAT(compressed.err, HasSubstr("vocab_size 300 -> 272"));
  const Json report = ReadJsonFile(dir_ / "out" / "report.json");
  EXPECT_EQ(report["stages"][0]["details"]["texts"][0]["file"], Path("text.txt"));
  EXPECT_EQ(ReadJsonFile(dir_ / "out" / "token_map.json")["old_ids"].size(), 272u);

  EXPECT_EQ(RunToEnd({"ecld", "validate", Path("out")}).status, 0);
  const Outcome evaluated = RunToEnd({"ecld", "eval", Path("out"), "--reference", Path("model"), "--text",
                                      Path("text.txt"), "--window", "32", "--windows", "4", "--json", "-"});
  ASSERT_EQ(evaluated.status, 0) << evaluated.err;
  const Json result = Json::parse(evaluated.out);
  EXPECT_EQ(result["metrics"][6]["name"], "reference_lost_mass");
  EXPECT_GT(result["metrics"][6]["value"].get<double>(), 0);
  EXPECT_EQ(RunToEnd({"ecld", "run", Path("out"), "--prompt", "the other", "--max-tokens", "4"}).status, 0);
  EXPECT_EQ(RunToEnd({"ecld", "export", Path("out"), "--to", "gguf", Path("out.gguf")}).status, 0);
}

TEST_F(Vocab, ATargetThatCannotBeIsRefusedWithoutAnOutput) {
  const Outcome refused = Compress("100");
  EXPECT_EQ(refused.status, 1);
  EXPECT_THAT(refused.err, HasSubstr("stages[0].tokens: 104 is below what cannot go"));
  EXPECT_THAT(refused.err, HasSubstr("the least is 264"));
  EXPECT_FALSE(std::filesystem::exists(dir_ / "out.work"));
}

}  // namespace
}  // namespace ecld
