// ecld export as a user runs it: the plan, the three targets, and what is left behind when it cannot be done.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/files.h"
#include "core/json.h"
#include "tests/cli/program.h"
#include "tests/testing/packed_checkpoint.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class ExportVerb : public testing::Test {
 protected:
  ExportVerb() {
    WritePackedCheckpoint(
        dir_ / "model",
        QuantizationConfig{.groups = {{.name = "group_0", .targets = {"Linear"}, .format = {4, 32, true}}},
                           .ignore = {"lm_head"}},
        {.dtype = DType::kBF16});
  }

  std::string Path(const std::string& name) const { return (dir_ / name).string(); }
  std::vector<std::string> Command(const std::string& target, const std::string& out,
                                   std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"ecld", "export", Path("model"), "--to", target, Path(out)});
    return more;
  }

  TempDir dir_;
};

TEST_F(ExportVerb, PlansThenWritesEveryTarget) {
  for (const char* target : {"compressed-tensors", "gptq", "gguf"}) {
    Outcome plan = RunToEnd(Command(target, target, {"--dry-run", "--json", "-"}));
    ASSERT_EQ(plan.status, 0) << plan.err;
    EXPECT_FALSE(fs::exists(dir_ / target));
    EXPECT_FALSE(fs::exists(dir_ / (std::string(target) + ".lock")));
    const Json planned = ParseJson(plan.out, "stdout");
    EXPECT_EQ(planned["schema"], "ecld.export");
    EXPECT_EQ(planned["written"], false);
    Outcome done = RunToEnd(Command(target, target));
    ASSERT_EQ(done.status, 0) << done.err;
    EXPECT_THAT(done.out, HasSubstr("read back: equal"));
    EXPECT_THAT(done.out, HasSubstr("W4 g32 sym"));
    EXPECT_TRUE(fs::exists(dir_ / target));
    EXPECT_FALSE(fs::exists(dir_ / (std::string(target) + ".partial")));
    Outcome again = RunToEnd(Command(target, target));
    EXPECT_EQ(again.status, 1);
    EXPECT_THAT(again.err, HasSubstr("exists; choose another output, or --overwrite to replace it"));
    EXPECT_EQ(RunToEnd(Command(target, target, {"--overwrite"})).status, 0);
  }
  Outcome imported = RunToEnd({"ecld", "import", Path("gguf"), "--out", Path("imported")});
  EXPECT_EQ(imported.status, 0) << imported.err;
}

TEST_F(ExportVerb, SaysWhatIsWrong) {
  Outcome unknown = RunToEnd(Command("awq", "out"));
  EXPECT_EQ(unknown.status, 2);
  EXPECT_THAT(unknown.err, HasSubstr("--to"));
  fs::remove(dir_ / "model/tokenizer.json");
  Outcome refused = RunToEnd(Command("gguf", "out.gguf"));
  EXPECT_EQ(refused.status, 1);
  EXPECT_THAT(refused.err, HasSubstr("ecld: error: "));
  EXPECT_THAT(refused.err, HasSubstr("holds no tokenizer.json"));
  EXPECT_FALSE(fs::exists(dir_ / "out.gguf"));
}

TEST_F(ExportVerb, AFullDiskLeavesNothing) {
  for (const char* target : {"compressed-tensors", "gptq", "gguf"}) {
    Program program(Command(target, "out"), {.file_limit_B = 20'000});
    Outcome outcome = program.Wait();
    EXPECT_NE(outcome.status, 0) << target;
    EXPECT_FALSE(fs::exists(dir_ / "out")) << target;
  }
}

}  // namespace
}  // namespace ecld
