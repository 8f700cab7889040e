// `offload` as a user runs it, on profiles that `profile` makes, and its page.

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

class Offload : public testing::Test {
 protected:
  void SetUp() override {
    WriteTinyCheckpoint(dir_ / "model", {.tied = true});
    const Outcome profile = RunToEnd({"ecld-device", "profile", (dir_ / "model").string(), "--out",
                                      (dir_ / "profile").string(), "--as", "l4", "--variant-id", "tiny"});
    ASSERT_EQ(profile.status, 0) << profile.err;
    std::string text = ReadFile("offload/scenarios/home.yaml");
    for (const char* path : {"demo/results/SmolLM2-135M-Instruct-off-grid-mixed5/profile",
                             "demo/results/SmolLM2-135M-Instruct-off-grid/profile"})
      text.replace(text.find(path), std::string(path).size(), (dir_ / "profile").string());
    WriteFileAtomically(dir_ / "home.yaml", text);
  }

  Outcome Run(const std::string& part, std::vector<std::string> more) const {
    std::vector<std::string> arguments = {"ecld-device", "offload",      part,    (dir_ / "home.yaml").string(),
                                          "--set",       "horizon_s=40", "--set", "replications=3"};
    if (part == "validate") arguments.resize(4);
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunToEnd(arguments);
  }

  TempDir dir_;
};

TEST_F(Offload, ValidatesSimulatesAndWritesRequests) {
  const Outcome valid = Run("validate", {});
  ASSERT_EQ(valid.status, 0) << valid.err;
  EXPECT_THAT(valid.out, HasSubstr("20 devices, 1 servers, 0 items to ask about"));
  EXPECT_THAT(valid.out, HasSubstr("times of tiny on \"edge\": as its profile says"));

  const std::string requests = (dir_ / "requests.csv").string();
  const Outcome one = Run("simulate", {"--policy", "nearest", "--requests", requests});
  ASSERT_EQ(one.status, 0) << one.err;
  EXPECT_THAT(one.out, HasSubstr("latency_mean, s"));
  EXPECT_THAT(one.err, HasSubstr("simulate: 3/3 runs"));
  const std::string lines = ReadFile(requests);
  EXPECT_THAT(lines, HasSubstr("request,device,task,place,variant"));
  EXPECT_THAT(lines, HasSubstr(",edge,tiny,0,"));
}

TEST_F(Offload, ComparesSweepsAndIsReported) {
  const std::string compared = (dir_ / "compared.json").string(), swept = (dir_ / "swept.json").string();
  const Outcome side_by_side = Run("compare", {"--policies", "local,latency", "--json", compared});
  ASSERT_EQ(side_by_side.status, 0) << side_by_side.err;
  EXPECT_THAT(side_by_side.out, HasSubstr("less local, run by run"));
  const Json json = ReadJsonFile(compared);
  EXPECT_EQ(json["schema"], "ecld.offload");
  EXPECT_EQ(json["points"][0]["policies"][1]["less"]["policy"], "local");
  const Outcome over =
      Run("sweep", {"--policies", "local,nearest", "--over", "users", "--values", "2,5", "--json", swept});
  ASSERT_EQ(over.status, 0) << over.err;
  EXPECT_EQ(ReadJsonFile(swept)["swept"], "devices.0.count");

  const std::string page = (dir_ / "page.html").string();
  const Outcome reported = RunToEnd({"ecld-device", "report", compared, swept, "--out", page});
  ASSERT_EQ(reported.status, 0) << reported.err;
  const std::string html = ReadFile(page);
  for (const char* title : {"latency against energy of the device, J per request: home",
                            "latency over devices.0.count: home", "queues with latency: home"})
    EXPECT_THAT(html, HasSubstr(title));
  EXPECT_THAT(html, Not(HasSubstr("<script")));
}

TEST_F(Offload, RefusesWithThePlace) {
  EXPECT_THAT(Run("compare", {"--policies", "latencey"}).err, HasSubstr("did you mean latency"));
  const Outcome negative = Run("simulate", {"--set", "requests.rate_per_s=-1"});
  EXPECT_EQ(negative.status, 1);
  EXPECT_THAT(negative.err, HasSubstr("--set: requests.rate_per_s: expected a number from"));
  EXPECT_THAT(Run("simulate", {"--policy", "goa"}).err, HasSubstr("policy goa asks how sure the device is"));
  EXPECT_EQ(RunToEnd({"ecld-device", "offload"}).status, 2);
}

}  // namespace
}  // namespace ecld
