// `eval --tasks` as a user runs it.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <fstream>

#include "core/files.h"
#include "core/json.h"
#include "tests/cli/program.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

constexpr int kItems = 400;

class EvalTasks : public testing::Test {
 protected:
  EvalTasks() {
    WriteTinyCheckpoint(dir_ / "model", {.vocab_size = kTinyTokens, .max_position = 256});
    std::filesystem::create_directories(dir_ / "data/piqa");
    std::ofstream documents(dir_ / "data/piqa/valid.jsonl"), labels(dir_ / "data/piqa/valid-labels.lst");
    for (int i = 0; i < kItems; ++i) {
      documents << fmt::format("{{\"goal\": \"goal {}\", \"sol1\": \"do {}\", \"sol2\": \"undo it\"}}\n", i, i * i);
      labels << i % 2 << "\n";
    }
  }

  std::string Path(const std::string& name) const { return (dir_ / name).string(); }
  std::vector<std::string> Command(const std::vector<std::string>& more) const {
    std::vector<std::string> command = {"ecld-device", "eval", Path("model"), "--data", Path("data")};
    command.insert(command.end(), more.begin(), more.end());
    return command;
  }

  TempDir dir_;
};

TEST_F(EvalTasks, PrintsATable) {
  const Outcome outcome = RunToEnd(Command({"--tasks", "piqa", "--limit", "50", "--reference", Path("model")}));
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("acc_norm"));
  EXPECT_THAT(outcome.out, HasSubstr("new errors"));
  EXPECT_THAT(outcome.out, HasSubstr("piqa, p90 over tokens"));
}

TEST_F(EvalTasks, HallucinationStandsApart) {
  std::filesystem::create_directories(dir_ / "data/v0");
  Json questions = Json::array();
  for (int i = 0; i < 8; ++i) {
    Json answers = {{fmt::format("true {}", i), 1}, {"false one", 0}};
    questions.push_back({{"question", fmt::format("Q {}", i)}, {"mc1_targets", answers}, {"mc2_targets", answers}});
  }
  WriteJsonFile(dir_ / "data/v0/mc_task.json", questions);
  const std::vector<std::string> tasks = {"--tasks", "truthfulqa_mc1,truthfulqa_mc2", "--reference", Path("model")};
  const Outcome outcome = RunToEnd(Command(tasks));
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("imitative_falsehood"));
  EXPECT_THAT(outcome.out, HasSubstr("not measured"));
  auto with_json = tasks;
  with_json.insert(with_json.end(), {"--json", "-"});
  const Json result = ParseJson(RunToEnd(Command(with_json)).out, "stdout");
  const Json& headline = result["hallucination"]["metrics"][0];
  EXPECT_EQ(headline["name"], "imitative_falsehood");
  EXPECT_EQ(headline["higher_is_better"], false);
  EXPECT_NEAR(headline["value"].get<double>(), 1 - result["tasks"][1]["metrics"][0]["value"].get<double>(), 1e-12);
  EXPECT_EQ(result["hallucination"]["new_errors"]["new_errors"], 0);
  EXPECT_TRUE(result["hallucination"]["world_factuality"].is_null());
}

TEST_F(EvalTasks, AKilledRunGoesOn) {
  const auto command = Command({"--tasks", "piqa", "--samples", Path("log"), "--threads", "1", "--json", "-"});
  {
    Program program(command);
    AwaitFile(dir_ / "log/piqa.jsonl");
    for (int i = 0; i < 3000 && std::filesystem::file_size(dir_ / "log/piqa.jsonl") < 5000; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    program.Signal(SIGKILL);
    program.Wait();
  }
  const Outcome resumed = RunToEnd(command);
  ASSERT_EQ(resumed.status, 0) << resumed.err;
  const Json again = ParseJson(resumed.out, "stdout")["tasks"][0];
  EXPECT_GT(again["resumed_items"], 0);  // a kill may fall between two writes of one batch
  const std::string log = ReadTextFile(dir_ / "log/piqa.jsonl");
  std::filesystem::remove_all(dir_ / "log");
  const Json whole = ParseJson(RunToEnd(command).out, "stdout")["tasks"][0];
  EXPECT_EQ(whole["resumed_items"], 0);
  EXPECT_EQ(again["metrics"], whole["metrics"]);
  EXPECT_EQ(ReadTextFile(dir_ / "log/piqa.jsonl"), log);
}

TEST_F(EvalTasks, MistakesAreSaid) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> mistakes = {
      {{"--tasks", "piqua"}, "no task is named \"piqua\" (did you mean piqa"},
      {{"--tasks", "boolq"}, "none of these files is below it: BoolQ/val.jsonl"},
      {{"--tasks", "piqa,piqa"}, "two tasks are named \"piqa\""},
      {{"--tasks", "piqa", "--shots", "1"}, "none of these files is below it: piqa/train.jsonl"}};
  for (const auto& [arguments, message] : mistakes) {
    const Outcome outcome = RunToEnd(Command(arguments));
    EXPECT_EQ(outcome.status, 1) << message;
    EXPECT_THAT(outcome.err, HasSubstr(message));
    EXPECT_THAT(outcome.out, IsEmpty());
  }
  // What is wrong with a file says its line, before anything is scored or logged.
  for (const auto& [file, text, message] :
       std::vector<std::array<std::string, 3>>{{"valid-labels.lst", "2\n", "valid.jsonl:1: the right answer is \"2\""},
                                               {"valid.jsonl", "{\"goal\": \"g\"}\n", "valid.jsonl:1: has no \"sol1\""},
                                               {"valid.jsonl", "{\"goal\"\n", "valid.jsonl:1: "},
                                               {"valid.jsonl", "", "valid.jsonl: holds no document"}}) {
    std::ofstream(dir_ / "data/piqa/valid-labels.lst") << "0\n";
    std::ofstream(dir_ / "data/piqa/valid.jsonl") << "{\"goal\": \"g\", \"sol1\": \"a\", \"sol2\": \"b\"}\n";
    std::ofstream(dir_ / "data/piqa" / file) << text;
    const Outcome outcome =
        RunToEnd(Command({"--tasks", "piqa", "--samples", Path("log"), "--json", Path("out.json")}));
    EXPECT_EQ(outcome.status, 1) << message;
    EXPECT_THAT(outcome.err, HasSubstr(message));
    EXPECT_FALSE(std::filesystem::exists(dir_ / "log") || std::filesystem::exists(dir_ / "out.json")) << message;
  }
  const Outcome no_data = RunToEnd({"ecld-device", "eval", Path("model"), "--tasks", "piqa"});
  EXPECT_EQ(no_data.status, 1);
  EXPECT_THAT(no_data.err, HasSubstr("--data: is missing"));
}

TEST_F(EvalTasks, OptionsOfTheOtherMeasureAreRefused) {
  for (const auto& arguments : std::vector<std::vector<std::string>>{
           {}, {"--tasks", "piqa", "--text", Path("x")}, {"--tasks", "piqa", "--window", "8"}})
    EXPECT_EQ(RunToEnd(Command(arguments)).status, 2);
  EXPECT_EQ(RunToEnd({"ecld-device", "eval", Path("model"), "--text", Path("x"), "--limit", "3"}).status, 2);
}

TEST_F(EvalTasks, ScoresGoIntoTheProfile) {
  const std::vector<std::string> eval = {"--tasks",   "piqa",      "--limit", "40",
                                         "--samples", Path("log"), "--json",  Path("tasks.json")};
  ASSERT_EQ(RunToEnd(Command(eval)).status, 0);
  std::vector<std::string> profile = {"ecld-device",   "profile",  Path("model"), "--out",
                                      Path("profile"), "--budget", "0.2"};
  ASSERT_EQ(RunToEnd(profile).status, 0);
  profile.insert(profile.end(), {"--only-scores", "--eval", Path("tasks.json"), "--samples", Path("log")});
  const Outcome outcome = RunToEnd(profile);
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("uncertainty_items"));
  EXPECT_EQ(ReadJsonFile(dir_ / "profile/profile.json")["tables"]["uncertainty_items"]["rows"], 40);
}

}  // namespace
}  // namespace ecld
