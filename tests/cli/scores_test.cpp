// `profile --as` and `scores` as a user runs them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/json.h"
#include "tests/cli/program.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

using testing::HasSubstr;

TEST(Scores, OfProfilesStandSideBySide) {
  TempDir dir;
  WriteTinyCheckpoint(dir / "model", {.tied = true});
  for (const char* device : {"raspberry-pi-5-8gb", "h200-sxm"}) {
    const Outcome profile = RunToEnd({"ecld-device", "profile", (dir / "model").string(), "--out",
                                      (dir / device).string(), "--as", device, "--variant-id", device});
    ASSERT_EQ(profile.status, 0) << profile.err;
  }
  std::vector<std::string> scores = {"ecld-device", "scores", (dir / "raspberry-pi-5-8gb").string(),
                                     (dir / "h200-sxm").string()};
  const Outcome table = RunToEnd(scores);
  ASSERT_EQ(table.status, 0) << table.err;
  EXPECT_THAT(table.out, HasSubstr("bits per weight"));
  EXPECT_THAT(table.out, HasSubstr("h200-sxm: on h200-sxm"));
  EXPECT_THAT(table.out, HasSubstr("not measured"));
  scores.insert(scores.end(), {"--rate", "1e9", "--json", "-"});
  const Json json = ParseJson(RunToEnd(scores).out, "stdout");
  EXPECT_EQ(json["scorecards"].size(), 2u);
  EXPECT_EQ(json["scorecards"][0]["coverage"]["sure"], 0) << "nothing decodes that fast";
  EXPECT_EQ(json["scorecards"][0]["coverage"]["limits"]["decode_tok_per_s"], 1e9);

  const Outcome unknown = RunToEnd(
      {"ecld-device", "profile", (dir / "model").string(), "--out", (dir / "p").string(), "--as", "raspberry-pi-5"});
  EXPECT_EQ(unknown.status, 1);
  EXPECT_THAT(unknown.err, HasSubstr("has no device \"raspberry-pi-5\" (did you mean raspberry-pi-5-"));
  EXPECT_EQ(RunToEnd({"ecld-device", "scores", (dir / "nowhere").string()}).status, 1);
}

}  // namespace
}  // namespace ecld
