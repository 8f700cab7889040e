// ecld-device profile export as a user runs it, on a profile just measured.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/files.h"
#include "tests/cli/program.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

TEST(ProfileExport, WritesAMeasuredProfileInEveryFormAndRefusesWhatIsBroken) {
  TempDir dir;
  WriteTinyCheckpoint(dir / "model");
  const auto path = [&](const char* name) { return (dir / name).string(); };
  const Outcome measured =
      RunToEnd({"ecld-device", "profile", path("model"), "--out", path("p"), "--device-id", "board", "--budget", "20"});
  ASSERT_EQ(measured.status, 0) << measured.err;

  const auto exported = [&](const char* format, const char* out) {
    return RunToEnd({"ecld-device", "profile", "export", path("p"), "--format", format, "--out", path(out)});
  };
  for (const char* format : {"distserve", "llama-bench", "splitwise-sim", "vidur"}) {
    const Outcome done = exported(format, format);
    EXPECT_EQ(done.status, 0) << format << ": " << done.err;
    EXPECT_THAT(done.out, HasSubstr(path(format)));
    EXPECT_FALSE(fs::is_empty(dir / format));
  }
  // The tiny model's weights are float32, which AIConfigurator has no name for.
  Outcome refused = exported("aiconfigurator", "aic");
  EXPECT_EQ(refused.status, 1);
  EXPECT_THAT(refused.err, HasSubstr("weights stored as f32 have no name there"));
  EXPECT_FALSE(fs::exists(dir / "aic"));

  refused = exported("vidur", "vidur");
  EXPECT_EQ(refused.status, 1);
  EXPECT_THAT(refused.err, HasSubstr("exists and is not empty"));

  std::string table = ReadTextFile(dir / "p/phase.csv");
  WriteFileAtomically(dir / "p/phase.csv", table.substr(0, table.size() / 2));
  refused = exported("vidur", "again");
  EXPECT_EQ(refused.status, 1);
  EXPECT_THAT(refused.err, HasSubstr("phase.csv: its sha256 is"));
  EXPECT_FALSE(fs::exists(dir / "again"));
}

TEST(ProfileExport, WhatIsMissingIsAsked) {
  EXPECT_EQ(RunToEnd({"ecld-device", "profile"}).status, 2);
  EXPECT_EQ(RunToEnd({"ecld-device", "profile", "model"}).status, 2);
  const Outcome outcome = RunToEnd({"ecld-device", "profile", "export", "p"});
  EXPECT_EQ(outcome.status, 2);
  EXPECT_THAT(outcome.err, HasSubstr("--format is required"));
}

}  // namespace
}  // namespace ecld
