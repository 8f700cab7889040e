#include "eval/tasks/evaluate_tasks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <set>
#include <sstream>

#include "checkpoint/checkpoint.h"
#include "checkpoint/tokenizer/tokenizer.h"
#include "core/files.h"
#include "core/intervals.h"
#include "core/progress.h"
#include "core/utf8.h"
#include "eval/tasks/catalogue.h"
#include "eval/tasks/task_runner.h"
#include "runtime/generate.h"
#include "runtime/score.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/near.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr int kItems = 150;  // several batches

class EvaluateTasksTest : public testing::Test {
 protected:
  EvaluateTasksTest() {
    WriteTinyCheckpoint(dir_ / "model", {.vocab_size = kTinyTokens, .max_position = 128});
    std::string choices, texts;
    for (int i = 0; i < kItems; ++i) {
      choices += fmt::format("{{\"q\": \"item {} of {}\", \"a\": \"yes {}\", \"b\": \"no, no\", \"gold\": {}}}\n",
                             i * i, kItems, i, i % 2);
      texts += fmt::format("{{\"t\": \"text {} is \", \"end\": \"over {}\"}}\n", i, i * 7);
    }
    Write("data/choices.jsonl", choices);
    Write("data/texts.jsonl", texts);
    Write("choice.yaml", R"(task: pick
data: {files: [choices.jsonl], fields: [q, a, b, gold]}
text: "Q: {{ q }}\nA:"
choices: ["{{ a }}", "{{ b }}"]
gold: "{{ gold }}"
metrics: [acc, acc_norm]
)");
    Write("more.yaml", R"(task: finish
kind: continuation
data: {files: [texts.jsonl]}
text: "{{ t }}"
target: "{{ end }}"
delimiter: ""
metrics: [perplexity, acc]
)");
    Write("roll.yaml", R"(task: roll
kind: rolling
data: {files: [texts.jsonl]}
target: "{{ (t ~ end) * 20 }}"
raw: "{{ t }}"
metrics: [word_perplexity, bits_per_byte]
)");
    Write("write.yaml", R"(task: write
kind: generate
data: {files: [texts.jsonl]}
text: "{{ t }}"
target: "{{ end }}"
until: ["e"]
max_tokens: 12
metrics: [exact_match, answer_words]
)");
  }

  void Write(const std::string& name, const std::string& text) {
    fs::create_directories((dir_ / name).parent_path());
    WriteFileAtomically(dir_ / name, text);
  }

  TaskEvalOptions Options(const std::string& task) const {
    return {.model = dir_ / "model",
            .tasks = {(dir_ / task).string()},
            .data = dir_ / "data",
            .samples = dir_ / "log",
            .bootstrap = 1000,
            .threads = 2};
  }

  std::vector<Json> Lines(const std::string& name) const {
    std::vector<Json> lines;
    std::stringstream text(ReadTextFile(dir_ / "log" / name));
    for (std::string line; std::getline(text, line);) lines.push_back(Json::parse(line));
    return lines;
  }

  // Sum of log-probabilities of what follows a context, from the plain scorer.
  double Plain(const std::string& context, const std::string& continuation) {
    if (!model_) {
      model_.emplace(Checkpoint::Open(dir_ / "model"));
      tokenizer_ = Tokenizer::Open(dir_ / "model");
    }
    Session session(*model_, pool_);
    const std::vector<int32_t> ids = tokenizer_->Encode(context + continuation, true);
    const ScoreWindow window = {ids, static_cast<int64_t>(tokenizer_->Encode(context, true).size())};
    const std::vector<double> scores = Score(session, std::span(&window, 1))[0];
    return std::accumulate(scores.begin(), scores.end(), 0.0);
  }

  TempDir dir_;
  ThreadPool pool_{2};
  std::optional<RuntimeModel> model_;
  std::unique_ptr<Tokenizer> tokenizer_;
};

TEST_F(EvaluateTasksTest, ChoicesAreScoredAsTheyStand) {
  const TasksResult result = EvaluateTasks(Options("choice.yaml"));
  const std::vector<Json> lines = Lines("pick.jsonl");
  ASSERT_EQ(lines.size(), kItems + 1u);
  double right = 0;
  for (int i = 0; i < kItems; ++i) {
    const Json& line = lines[i + 1];
    EXPECT_EQ(line["item"], i);
    const std::string context = fmt::format("Q: item {} of {}\nA:", i * i, kItems);
    const double yes = Plain(context, fmt::format(" yes {}", i)), no = Plain(context, " no, no");
    EXPECT_NEAR(line["log_p"][0].get<double>(), yes, 1e-3);
    EXPECT_NEAR(line["log_p"][1].get<double>(), no, 1e-3);
    right += (no > yes) == (i % 2 == 1);
  }
  EXPECT_DOUBLE_EQ(result.tasks[0].metrics[0].value, right / kItems);
  EXPECT_EQ(result.tasks[0].items, kItems);
  ASSERT_TRUE(result.tasks[0].uncertainty);
  EXPECT_EQ(result.tasks[0].uncertainty->answers.at("mean").size(), static_cast<size_t>(kItems));
}

TEST_F(EvaluateTasksTest, ContinuationsAndTexts) {
  const TasksResult more = EvaluateTasks(Options("more.yaml"));
  double sum = 0;
  // The space at the end of the context belongs to what is scored.
  for (int i = 0; i < kItems; ++i) sum += Plain(fmt::format("text {} is", i), fmt::format(" over {}", i * 7));
  EXPECT_NEAR(more.tasks[0].metrics[0].value / std::exp(-sum / kItems), 1, 1e-4);
  ASSERT_TRUE(more.tasks[0].metrics[0].standard_error);

  TaskEvalOptions options = Options("roll.yaml");
  options.prompts.limit = 5;
  EvaluateTasks(options);
  const std::vector<Json> lines = Lines("roll.jsonl");
  ASSERT_EQ(lines.size(), 6u);
  EXPECT_GT(lines[1]["tok"][0], 128);  // several windows
  EXPECT_EQ(lines[1]["values"]["words"], 4);
}

TEST_F(EvaluateTasksTest, TextsAreThoseOfOneAtATime) {
  EvaluateTasks(Options("write.yaml"));
  const std::vector<Json> lines = Lines("write.jsonl");
  ASSERT_EQ(lines.size(), kItems + 1u);
  Plain("a", " b");
  Session session(*model_, pool_);
  int stopped = 0;
  for (int i = 0; i < kItems; i += 10) {
    const std::vector<int32_t> prompt = tokenizer_->Encode(fmt::format("text {} is ", i), true);
    std::string expected;
    GenerateOptions options = {.max_tokens = 12, .stop_ids = model_->config().eos_ids};
    if (tokenizer_->eos()) options.stop_ids.push_back(*tokenizer_->eos());
    const Generation generation = Generate(session, prompt, options, [&](int32_t token) {
      expected += tokenizer_->Bytes(token, true);
      return expected.find('e') == std::string::npos;
    });
    stopped += generation.end == Generation::End::kCaller;
    // A character cut apart is written as U+FFFD.
    const std::string text = lines[i + 1]["text"], decoded = tokenizer_->Decode(generation.tokens, true);
    const std::string whole = decoded.substr(0, decoded.find('e'));
    EXPECT_EQ(text.substr(0, text.find("\xef\xbf\xbd")), whole.substr(0, ValidRun(whole, 0)));
  }
  EXPECT_GT(stopped, 0);
}

TEST_F(EvaluateTasksTest, GoesOnWhereItStopped) {
  Write("several.yaml", R"(task: several
kind: generate
data: {files: [texts.jsonl]}
text: "{{ t }}"
target: ""
max_tokens: 6
more_texts: 2
metrics: [inconsistency]
)");
  for (const auto& [task, log] :
       {std::pair{"choice.yaml", "pick.jsonl"}, {"write.yaml", "write.jsonl"}, {"several.yaml", "several.jsonl"}}) {
    const TasksResult whole = EvaluateTasks(Options(task));
    const std::string text = ReadTextFile(dir_ / "log" / log);
    // As a kill leaves it: in the middle of a line.
    Write(std::string("log/") + log, text.substr(0, text.size() / 2));
    const TasksResult resumed = EvaluateTasks(Options(task));
    EXPECT_GT(resumed.tasks[0].resumed, 0);
    EXPECT_LT(resumed.tasks[0].resumed, kItems);
    const std::string again = ReadTextFile(dir_ / "log" / log);
    EXPECT_EQ(std::ranges::count(again, '\n'), std::ranges::count(text, '\n'));
    if (std::string(task) == "several.yaml") {
      EXPECT_EQ(again, text);  // drawn again alike
    }
    EXPECT_NEAR(resumed.tasks[0].metrics[0].value, whole.tasks[0].metrics[0].value, 1e-12);
  }
}

TEST_F(EvaluateTasksTest, AShorterRunIsPartOfALongerOne) {
  TaskEvalOptions options = Options("choice.yaml");
  options.prompts.limit = 30;
  EXPECT_EQ(EvaluateTasks(options).tasks[0].items, 30);
  options.prompts.limit = 0;
  EXPECT_EQ(EvaluateTasks(options).tasks[0].resumed, 30);
  options.prompts.limit = 10;
  const TasksResult shorter = EvaluateTasks(options);
  EXPECT_EQ(shorter.tasks[0].items, 10);
  EXPECT_EQ(shorter.tasks[0].resumed, 10);
}

TEST_F(EvaluateTasksTest, SamplesOfAnotherRunAreNotMixedIn) {
  EvaluateTasks(Options("choice.yaml"));
  WriteTinyCheckpoint(dir_ / "other", {.seed = 2, .vocab_size = kTinyTokens, .max_position = 128});
  TaskEvalOptions options = Options("choice.yaml");
  options.model = dir_ / "other";
  EXPECT_ERROR(EvaluateTasks(options), "pick.jsonl:1: holds the samples of another run");
  Write("log/pick.jsonl", ReadTextFile(dir_ / "log/pick.jsonl").substr(0, 600) + "\n{\"item\": \"x\"}\n");
  EXPECT_ERROR(EvaluateTasks(Options("choice.yaml")), "pick.jsonl:");
}

TEST_F(EvaluateTasksTest, ErrorsAgainstTheOriginal) {
  TaskEvalOptions options = Options("choice.yaml");
  options.reference = options.model;
  const TasksResult same = EvaluateTasks(options);
  ASSERT_TRUE(same.tasks[0].against_reference);
  EXPECT_EQ(same.tasks[0].against_reference->new_errors, 0);
  EXPECT_EQ(same.tasks[0].against_reference->fixed_errors, 0);
  EXPECT_EQ(ReadTextFile(dir_ / "log/pick.jsonl"), ReadTextFile(dir_ / "log/reference/pick.jsonl"));

  WriteTinyCheckpoint(dir_ / "other", {.seed = 2, .vocab_size = kTinyTokens, .max_position = 128});
  options.reference = dir_ / "other";
  options.samples = dir_ / "others";
  const TasksResult other = EvaluateTasks(options);
  const PairedErrors& paired = *other.tasks[0].against_reference;
  EXPECT_GT(paired.new_errors + paired.fixed_errors, 0);
  EXPECT_NEAR(paired.difference, double(paired.fixed_errors - paired.new_errors) / kItems, 1e-12);
}

TEST_F(EvaluateTasksTest, TheResultSaysUnderWhatItWasHad) {
  const Json json = ToJson(EvaluateTasks(Options("choice.yaml")));
  EXPECT_EQ(json["schema"], "ecld.tasks");
  const Json& task = json["tasks"][0];
  EXPECT_EQ(task["items"], kItems);
  EXPECT_THAT(task["data"]["file"].get<std::string>(), HasSubstr("choices.jsonl"));
  EXPECT_EQ(task["metrics"][0]["name"], "acc");
  EXPECT_EQ(task["metrics"][0]["ci95_method"], "Wilson");
  const auto [low, high] = WilsonInterval(std::llround(task["metrics"][0]["value"].get<double>() * kItems), kItems);
  EXPECT_EQ(task["metrics"][0]["ci95"], (std::vector<double>{low, high}));
  EXPECT_EQ(task["uncertainty"]["aggregates"].size(), 5u);
  const Json& mean = task["uncertainty"]["aggregates"]["mean"];
  EXPECT_EQ(mean["risk_coverage"].back()[0], 1);
  EXPECT_EQ(json["runtime"]["precision"], "exact");
}

TEST_F(EvaluateTasksTest, MistakesSayWhere) {
  TaskEvalOptions options = Options("choice.yaml");
  options.data = dir_ / "none";
  EXPECT_ERROR(EvaluateTasks(options), "none: is no folder; --data names");
  options = Options("choice.yaml");
  options.tasks.push_back(options.tasks[0]);
  EXPECT_ERROR(EvaluateTasks(options), "two tasks are named \"pick\"");
  Write("none.yaml", "includes: []\n");
  EXPECT_ERROR(EvaluateTasks(Options("none.yaml")), "--tasks: names no task");
  Write("data/choices.jsonl", "{\"q\": \"x\", \"a\": \"" + std::string(300, 'z') + "\", \"b\": \"n\", \"gold\": 0}\n");
  EXPECT_ERROR(EvaluateTasks(Options("choice.yaml")), "pick: item 0: the continuation has");
}

TEST_F(EvaluateTasksTest, TheCostIsThatOfWhatIsLeft) {
  const Checkpoint checkpoint = Checkpoint::Open(dir_ / "model");
  TaskRunner runner(checkpoint, {}, pool_);
  const DataFolder folder(dir_ / "data");
  const auto cost = [&](const std::string& file, int64_t limit, int64_t done) {
    const Task task = FindTasks({(dir_ / file).string()})[0];
    const std::vector<Prompt> prompts = BuildPrompts(task, folder, {.limit = limit}).prompts;
    SampleLog log("", {});
    for (int64_t i = 0; i < done; ++i) log.Add(std::vector<Sample>{{.item = static_cast<size_t>(i)}});
    return runner.CostOf(task, prompts, log);
  };
  tokenizer_ = Tokenizer::Open(dir_ / "model");
  // Each beginning is read once: at least as many tokens as there are different beginnings, at most those of every item
  // with its question read once for both choices.
  std::set<std::vector<int32_t>> beginnings;
  size_t most = 0;
  for (int i = 0; i < 20; ++i) {
    const std::string context = fmt::format("Q: item {} of {}\nA:", i * i, kItems);
    std::vector<int32_t> yes = tokenizer_->Encode(context + fmt::format(" yes {}", i), true);
    std::vector<int32_t> no = tokenizer_->Encode(context + " no, no", true);
    most += yes.size() + no.size() - tokenizer_->Encode(context, true).size() + 1;
    for (std::vector<int32_t>* text : {&yes, &no})
      for (; !text->empty(); text->pop_back()) beginnings.insert(*text);
  }
  const TaskCost choices = cost("choice.yaml", 20, 0);
  EXPECT_EQ(choices.items, 20);
  EXPECT_EQ(choices.texts, 40);
  EXPECT_GE(choices.read_tok, static_cast<double>(beginnings.size()));
  EXPECT_LT(choices.read_tok, static_cast<double>(most));
  EXPECT_EQ(choices.write_tok, 0);
  EXPECT_EQ(cost("choice.yaml", 20, 15).texts, 10);
  EXPECT_EQ(cost("choice.yaml", 20, 20).read_tok, 0);
  EXPECT_EQ(cost("write.yaml", 20, 0).write_tok, 20 * 12);
  const TaskRate rate = runner.MeasureRate(cost("write.yaml", 20, 0));
  EXPECT_GT(rate.read, 0);
  EXPECT_GT(rate.write, 0);
  EXPECT_EQ(runner.MeasureRate(choices).write, 0) << "nothing is written";
  EXPECT_GT(Seconds(choices, {.read = 1000}), 0);
}

TEST(TaskCost, IsSaidInWords) {
  const TaskRate rate{.read = 1000, .write = 100};
  EXPECT_EQ(Describe({.items = 300, .texts = 600, .read_tok = 56'400, .write_tok = 0}, rate),
            "300 items, 600 texts: about 56 k tokens to read; about " + FormatDuration(56.4));
  const TaskCost both{.items = 2, .texts = 2, .read_tok = 1000, .write_tok = 512};
  EXPECT_DOUBLE_EQ(Seconds(both, rate), 1 + 5.12);
  EXPECT_THAT(Describe(both, rate), HasSubstr("at most 512 to write; at most about "));
}

}  // namespace
}  // namespace ecld
