// ecld-device report as a user runs it: from a result of eval to a page.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "core/files.h"
#include "tests/cli/program.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

using testing::HasSubstr;

TEST(ReportVerb, WritesAPageOfWhatEvalWroteAndReplacesNoInput) {
  TempDir dir;
  const auto path = [&](const char* name) { return (dir / name).string(); };
  WriteTinyCheckpoint(dir / "model");
  std::ofstream(dir / "text.txt") << std::string(2000, 'a');
  const Outcome scored = RunToEnd({"ecld-device", "eval", path("model"), "--text", path("text.txt"), "--window", "64",
                                   "--json", path("eval.json")});
  ASSERT_EQ(scored.status, 0) << scored.err;

  for (const char* program : {"ecld-device", "ecld"}) {
    const Outcome done = RunToEnd({program, "report", path("eval.json"), "--out", path("report.html")});
    ASSERT_EQ(done.status, 0) << done.err;
    EXPECT_EQ(done.out, path("report.html") + "\n");
    EXPECT_THAT(ReadTextFile(dir / "report.html"), HasSubstr("text, perplexity"));
  }
  const Outcome charted =
      RunToEnd({"ecld-device", "report", path("eval.json"), "--out", path("report.html"), "--charts", path("charts")});
  ASSERT_EQ(charted.status, 0) << charted.err;
  EXPECT_EQ(charted.out, path("report.html") + "\n" + path("charts/text-perplexity-against-weights-mb.svg") + "\n");
  EXPECT_THAT(ReadTextFile(dir / "charts" / "text-perplexity-against-weights-mb.svg"), HasSubstr("</svg>"));
  const std::string result = ReadTextFile(dir / "eval.json");
  const Outcome refused = RunToEnd({"ecld-device", "report", path("eval.json"), "--out", path("eval.json")});
  EXPECT_EQ(refused.status, 1);
  EXPECT_THAT(refused.err, HasSubstr("is an input, and would be replaced"));
  EXPECT_EQ(ReadTextFile(dir / "eval.json"), result);
  EXPECT_EQ(RunToEnd({"ecld-device", "report", path("none.json"), "--out", path("x.html")}).status, 2);
  EXPECT_EQ(RunToEnd({"ecld-device", "report", path("eval.json")}).status, 2);
}

}  // namespace
}  // namespace ecld
