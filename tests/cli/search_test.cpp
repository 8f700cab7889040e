// `ecld search` as a user meets it: killed, it goes on without making again what it has measured.

#include <gtest/gtest.h>

#include <csignal>
#include <fstream>

#include "core/files.h"
#include "core/json.h"
#include "tests/cli/program.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

TEST(Search, KilledItGoesOnAndEndsInTheSameWeights) {
  TempDir dir;
  WriteTinyCheckpoint(dir / "model", {.dtype = DType::kBF16, .tied = true});
  {
    std::ofstream text(dir / "text.txt");
    for (int i = 0; i < 200; ++i) text << "line " << i * i << " of the text\n";
    std::ofstream(dir / "recipe.yaml") << "version: 1\nstages:\n- {pass: quantize.round, bits: 2, group_size: 32}\n"
                                          "search:\n- {at: stages.0.bits, values: [2, 3, 4, 5, 6, 8]}\n";
  }
  const auto arguments = [&](const char* out) {
    return std::vector<std::string>{"ecld",
                                    "search",
                                    (dir / "recipe.yaml").string(),
                                    "--model",
                                    (dir / "model").string(),
                                    "--out",
                                    (dir / out).string(),
                                    "--held-out",
                                    (dir / "text.txt").string()};
  };
  const Outcome whole = RunToEnd(arguments("whole"));
  ASSERT_EQ(whole.status, 0) << whole.err;
  {
    Program killed(arguments("out"));
    AwaitFile(dir / "out.search" / "trials.json");
    killed.Signal(SIGKILL);
    killed.Wait();
  }
  ASSERT_FALSE(std::filesystem::exists(dir / "out"));
  const Json kept = ReadJsonFile(dir / "out.search" / "trials.json");
  ASSERT_GE(kept["order"].size(), 1u);

  std::vector<std::string> other = arguments("out");
  other.insert(other.end(), {"--set", "stages.0.clip=minmax"});
  EXPECT_NE(RunToEnd(other).err.find("is an unfinished search of another recipe"), std::string::npos);

  const Outcome resumed = RunToEnd(arguments("out"));
  ASSERT_EQ(resumed.status, 0) << resumed.err;
  EXPECT_EQ(resumed.err.find("candidate 1:"), std::string::npos);
  EXPECT_EQ(ReadFile(dir / "out" / "model.safetensors"), ReadFile(dir / "whole" / "model.safetensors"));
  const Json a = ReadJsonFile(dir / "out" / "search.json"), b = ReadJsonFile(dir / "whole" / "search.json");
  EXPECT_EQ(a["chosen"], b["chosen"]);
  EXPECT_EQ(a["trials"].size(), b["trials"].size());
}

}  // namespace
}  // namespace ecld
