// `ecld offload train` as a user runs it, and its policy in the hands of `ecld-device`.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/files.h"
#include "core/json.h"
#include "tests/cli/program.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

using testing::HasSubstr;

TEST(OffloadTrain, WritesAPolicyThatTheDeviceHalfRuns) {
  TempDir dir;
  WriteTinyCheckpoint(dir / "model", {.tied = true});
  const std::string profile = (dir / "profile").string(), scenario = (dir / "home.yaml").string();
  ASSERT_EQ(RunToEnd({"ecld-device", "profile", (dir / "model").string(), "--out", profile, "--as", "l4",
                      "--variant-id", "t"})
                .status,
            0);
  std::string text = ReadFile("offload/scenarios/home.yaml");
  for (const char* path : {"demo/results/SmolLM2-135M-Instruct-off-grid-mixed5/profile",
                           "demo/results/SmolLM2-135M-Instruct-off-grid/profile"})
    text.replace(text.find(path), std::string(path).size(), profile);
  WriteFileAtomically(scenario, text);
  const std::string out = (dir / "learned").string();
  std::vector<std::string> train = {"ecld", "offload", "train", scenario,  "--out",
                                    out,    "--seeds", "2",     "--steps", "4096"};
  train.insert(train.end(), {"--set", "horizon_s=40"});
  const Outcome learned = RunToEnd(train);
  ASSERT_EQ(learned.status, 0) << learned.err;
  EXPECT_THAT(learned.err, HasSubstr("2 seeds of 4096 steps at "));
  EXPECT_THAT(learned.out, HasSubstr("on held-out seeds"));
  EXPECT_THAT(ReadFile(out + "/curves.svg"), HasSubstr("<svg"));
  EXPECT_EQ(ReadJsonFile(out + "/training.json")["seeds"].size(), 2u);
  EXPECT_EQ(RunToEnd(train).out, learned.out) << "done already";

  const Outcome run = RunToEnd({"ecld-device", "offload", "compare", scenario, "--policies", "latency,learned:" + out,
                                "--set", "horizon_s=40", "--set", "replications=2"});
  ASSERT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("learned:" + out));
  EXPECT_EQ(RunToEnd({"ecld", "offload", "validate", scenario}).status, 0) << "the other parts are there too";
  EXPECT_THAT(RunToEnd({"ecld", "offload", "train", scenario, "--out", out, "--parts", "imagination"}).err,
              HasSubstr("--parts: is of a world model"));
  const Outcome with_model =
      RunToEnd({"ecld", "offload", "train", scenario, "--out", out + "-model", "--policy", "world-model-ppo", "--parts",
                "value-targets", "--seeds", "1", "--steps", "1024", "--set", "horizon_s=40"});
  ASSERT_EQ(with_model.status, 0) << with_model.err;
  const Json foresight = ReadJsonFile(out + "-model/training.json")["settings"]["foresight"];
  EXPECT_TRUE(foresight["value_targets"].get<bool>());
  EXPECT_FALSE(foresight["imagination"].get<bool>());
  EXPECT_THAT(RunToEnd({"ecld", "offload", "planner", scenario, "--out", out + "-planner"}).err,
              HasSubstr("has no items"));
  train.back() = "horizon_s=50";
  EXPECT_THAT(RunToEnd(train).err, HasSubstr("holds a training of another scenario"));
}

}  // namespace
}  // namespace ecld
