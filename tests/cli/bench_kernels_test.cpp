// `bench kernels` as a user meets it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "core/json.h"
#include "tests/cli/program.h"
#include "tests/testing/temp_dir.h"

namespace ecld {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class BenchKernels : public testing::Test {
 protected:
  BenchKernels() { std::ofstream(dir_ / "shapes.txt") << "gemm product 48 64\nnorm norm 64\n"; }

  Outcome Run(std::vector<std::string> more) {
    std::vector<std::string> command = {"ecld-device", "bench", "kernels", "--shapes", (dir_ / "shapes.txt").string()};
    command.insert(command.end(), more.begin(), more.end());
    return RunToEnd(command);
  }

  TempDir dir_;
};

TEST_F(BenchKernels, PrintsATableOrJson) {
  Outcome table = Run({"--bits", "16,4", "--m", "1,2", "--kernel", "portable"});
  EXPECT_EQ(table.status, 0) << table.err;
  EXPECT_THAT(table.out, HasSubstr("memory read"));
  EXPECT_THAT(table.out, HasSubstr("W4 g128 sym"));
  Outcome json = Run({"--bits", "16", "--m", "2", "--json", "-"});
  EXPECT_EQ(json.status, 0) << json.err;
  const Json result = Json::parse(json.out);
  EXPECT_EQ(result["schema"], "ecld.bench_kernels");
  EXPECT_EQ(result["rows"][0]["rows"], 2);
}

TEST_F(BenchKernels, MistakesAreSaid) {
  Outcome kernel = Run({"--kernel", "portabel"});
  EXPECT_EQ(kernel.status, 1);
  EXPECT_THAT(kernel.err, HasSubstr("--kernel: no implementation is named \"portabel\""));
  EXPECT_THAT(kernel.out, IsEmpty());
  Outcome group = Run({"--group-size", "12"});
  EXPECT_EQ(group.status, 1);
  EXPECT_THAT(group.err, HasSubstr("group_size is 12"));
  std::ofstream(dir_ / "shapes.txt") << "gemm product 48\n";
  EXPECT_THAT(Run({}).err, HasSubstr("shapes.txt:1: gemm takes"));
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"--bits", "7"}, {"--m", "0"}, {"--m", "x"}, {"--context", "0"}, {"--limit", "0"}}) {
    Outcome outcome = Run(arguments);
    EXPECT_EQ(outcome.status, 2) << arguments[0] << " " << arguments[1];
  }
  EXPECT_EQ(RunToEnd({"ecld-device", "bench", "kernels"}).status, 2);
}

}  // namespace
}  // namespace ecld
