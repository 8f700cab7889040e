// What the tasks that ship ask, literally; the expected texts follow lm-evaluation-harness 0.4.13's task files.

#include "eval/tasks/prompts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "core/files.h"
#include "eval/tasks/catalogue.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/temp_dir.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::Pair;

class PromptsTest : public testing::Test {
 protected:
  void Write(const std::string& name, const std::string& text) {
    fs::create_directories((dir_ / name).parent_path());
    WriteFileAtomically(dir_ / name, text);
  }
  std::vector<Prompt> Build(const std::string& task, const PromptOptions& options = {}) {
    return BuildPrompts(FindTasks({task})[0], DataFolder(dir_.path()), options).prompts;
  }

  TempDir dir_;
};

TEST_F(PromptsTest, Arc) {
  const std::string document =
      R"({"question": {"stem": "Why?", "choices": [{"text": "a b", "label": "1"}, {"text": "c", "label": "2"}]},)"
      R"( "answerKey": "2"})";
  Write("ARC-Easy/ARC-Easy-Test.jsonl", document);
  const Prompt prompt = Build("arc_easy")[0];
  EXPECT_THAT(prompt.requests,
              ElementsAre(Pair("Question: Why?\nAnswer:", " a b"), Pair("Question: Why?\nAnswer:", " c")));
  EXPECT_EQ(prompt.gold, 1);
  // The same in the form that Parquet gives.
  Write("arc_challenge/test.jsonl",
        R"({"question": "Why?", "choices": {"text": ["a b", "c"], "label": ["1", "2"]}, "answerKey": "2"})");
  EXPECT_EQ(Build("arc_challenge")[0].requests, prompt.requests);
  EXPECT_EQ(Build("arc_challenge")[0].gold, 1);
}

TEST_F(PromptsTest, HellaSwag) {
  Write("hellaswag_val.jsonl",
        R"({"activity_label": "Baking", "ctx_a": "A man  mixes. [header] How", "ctx_b": "he STIRS", "label": 1,)"
        R"( "endings": ["[step] Follow on.", "it. [title] Then more  "]})");
  const Prompt prompt = Build("hellaswag")[0];
  const std::string context = "Baking: A man mixes. How He stirs";
  EXPECT_THAT(prompt.requests, ElementsAre(Pair(context, "  Follow on."), Pair(context, " it.. Then more")));
  EXPECT_THAT(prompt.choices, ElementsAre(" Follow on.", "it.. Then more"));
}

TEST_F(PromptsTest, Piqa) {
  Write("piqa/valid.jsonl", R"({"goal": "Open it.", "sol1": "pull ", "sol2": "push"})");
  Write("piqa/valid-labels.lst", "1\n");
  const Prompt prompt = Build("piqa")[0];
  EXPECT_THAT(prompt.requests,
              ElementsAre(Pair("Question: Open it.\nAnswer:", " pull "), Pair("Question: Open it.\nAnswer:", " push")));
  EXPECT_EQ(prompt.gold, 1);
}

TEST_F(PromptsTest, WinograndeComparesContexts) {
  const std::string documents =
      R"({"sentence": "Ann saw Bo because _ was late.", "option1": "Ann", "option2": "Bo", "answer": "2"}
{"sentence": "Cy left as _ ran.", "option1": "Cy", "option2": "Di", "answer": "1"}
)";
  Write("winogrande_1.1/dev.jsonl", documents);
  Write("winogrande_1.1/train_xl.jsonl", documents);
  const Prompt prompt = Build("winogrande")[0];
  EXPECT_THAT(prompt.requests,
              ElementsAre(Pair("Ann saw Bo because Ann", " was late."), Pair("Ann saw Bo because Bo", " was late.")));
  EXPECT_EQ(prompt.gold, 1);
  // One more is drawn, sample(range(2), 2) of Random(1234), and the item itself left out.
  EXPECT_EQ(Build("winogrande", {.shots = 1})[0].requests[0].first, "Cy left as Cy ran.\n\nAnn saw Bo because Ann");
  EXPECT_EQ(Build("winogrande", {.shots = 1})[1].requests[1].first, "Ann saw Bo because Bo was late.\n\nCy left as Di");
}

TEST_F(PromptsTest, BoolqTakesBothForms) {
  Write("BoolQ/val.jsonl", R"({"passage": "Sky -- It is blue.", "question": "is it", "label": true})");
  const Prompt prompt = Build("boolq")[0];
  const std::string context = "Sky -- It is blue.\nQuestion: is it?\nAnswer:";
  EXPECT_THAT(prompt.requests, ElementsAre(Pair(context, " no"), Pair(context, " yes")));
  EXPECT_EQ(prompt.gold, 1);
  fs::remove(dir_ / "BoolQ/val.jsonl");
  Write("boolq/dev.jsonl", R"({"title": "Sky", "passage": "It is blue.", "question": "is it", "answer": false})");
  EXPECT_EQ(Build("boolq")[0].requests, prompt.requests);
  EXPECT_EQ(Build("boolq")[0].gold, 0);
}

TEST_F(PromptsTest, OpenBookQa) {
  Write("Main/test.jsonl",
        R"({"question": {"stem": "Metal is", "choices": [{"text": "a", "label": "A"}, {"text": "b", "label": "B"}]},)"
        R"( "answerKey": " B"})");
  EXPECT_THAT(Build("openbookqa")[0].requests, ElementsAre(Pair("Metal is", " a"), Pair("Metal is", " b")));
  EXPECT_EQ(Build("openbookqa")[0].gold, 1);
}

TEST_F(PromptsTest, Mmlu) {
  const std::string rows = "\" Pick, one \",a,\"b \",c,d,C\n\"Second\",e,f,g,h,A\n";
  Write("test/high_school_physics_test.csv", rows);
  Write("dev/high_school_physics_dev.csv", rows);
  Task physics;
  for (const Task& task : FindTasks({"mmlu"}))
    if (task.name == "mmlu_high_school_physics") physics = task;
  EXPECT_EQ(FindTasks({"mmlu"}).size(), 57u);
  const Prompt prompt = BuildPrompts(physics, DataFolder(dir_.path()), {.shots = 1}).prompts[1];
  const std::string first = "Pick, one\nA. a\nB. b \nC. c\nD. d\nAnswer:";
  EXPECT_EQ(prompt.requests[0].first,
            "The following are multiple choice questions (with answers) about high school physics.\n\n" + first +
                " C\n\nSecond\nA. e\nB. f\nC. g\nD. h\nAnswer:");
  EXPECT_EQ(prompt.requests[3].second, " D");
  EXPECT_EQ(prompt.gold, 0);
}

TEST_F(PromptsTest, Lambada) {
  Write("lambada_test.jsonl", R"({"text": "one  two\n\nthree four\n\nfive"})");
  EXPECT_THAT(Build("lambada_openai")[0].requests, ElementsAre(Pair("one  two\n\nthree", " four\n\nfive")));
}

TEST_F(PromptsTest, Wikitext) {
  Write("wiki.test.raw", " = T = \n \n He said \" well @-@ known ( 3 @,@ 000 ) \" . It 's = = S = = \n");
  const Prompt prompt = Build("wikitext")[0];
  EXPECT_EQ(prompt.requests[0].second, " = T =\n\nHe said \"well-known (3,000)\". It's == S ==\n");
  EXPECT_EQ(prompt.bytes, static_cast<int64_t>(ReadTextFile(dir_ / "wiki.test.raw").size()));
  EXPECT_EQ(prompt.words, 25);  // 23 and an empty one at each end
}

TEST_F(PromptsTest, Gsm8kDrawsItsExamples) {
  std::string train;
  for (int i = 0; i < 7473; ++i) train += "{\"question\": \"q" + std::to_string(i) + "\", \"answer\": \"a\"}\n";
  Write("gsm8k/train.jsonl", train);
  Write("gsm8k/test.jsonl",
        "{\"question\": \"x\", \"answer\": \"#### 1\"}\n{\"question\": \"y\", \"answer\": \"#### 2\"}\n");
  const std::vector<Prompt> prompts = Build("gsm8k");
  const auto shot = [](int i) { return "Question: q" + std::to_string(i) + "\nAnswer: a\n\n"; };
  EXPECT_EQ(prompts[0].requests[0].first,
            shot(6374) + shot(3610) + shot(957) + shot(61) + shot(742) + "Question: x\nAnswer:");
  EXPECT_TRUE(prompts[1].requests[0].first.starts_with(shot(7462) + shot(6610)));  // the generator runs on
  EXPECT_EQ(prompts[1].target, "#### 2");
}

TEST_F(PromptsTest, TruthfulQaHoldsItsOwnExamples) {
  Write("v0/mc_task.json",
        R"([{"question": "Q1", "mc1_targets": {"t": 1, "f": 0}, "mc2_targets": {"t": 1, "u": 1, "f": 0}}])");
  const Prompt prompt = Build("truthfulqa_mc2")[0];
  EXPECT_TRUE(prompt.requests[0].first.ends_with("Barcelona, Spain.\n\nQ: Q1\nA:"));
  EXPECT_THAT(prompt.choices, ElementsAre("t", "u", "f"));
  EXPECT_THAT(prompt.labels, ElementsAre(1, 1, 0));
  EXPECT_ERROR(Build("truthfulqa_mc1", {.shots = 2}), "truthfulqa_mc1: its prompt holds its own examples");
}

TEST_F(PromptsTest, HaluEvalAsksAboutBothAnswers) {
  Write("halueval/qa_data.json",
        R"({"question": "Who?", "right_answer": "Ann", "hallucinated_answer": "It was \"Bo\"."})");
  const std::vector<Prompt> prompts = Build("halueval_qa");
  ASSERT_EQ(prompts.size(), 2u);
  EXPECT_THAT(prompts[0].requests[0].first, testing::EndsWith("Question: Who?\nAnswer: Ann\nWrong or made up:"));
  EXPECT_EQ(prompts[1].gold, 1);
  EXPECT_EQ(prompts[1].cue, 12);
  EXPECT_EQ(prompts[1].document, 0u);
  EXPECT_EQ(prompts[1].item, 1u);
}

TEST_F(PromptsTest, MistakesInDataSayWhere) {
  Write("piqa/valid.jsonl", R"({"goal": "g", "sol1": "a", "sol2": "b"})");
  Write("piqa/valid-labels.lst", "2\n");
  EXPECT_ERROR(Build("piqa"), "valid.jsonl:1: the right answer is \"2\", expected 0 .. 1");
  Write("piqa/valid-labels.lst", "1\n");
  Write("piqa/valid.jsonl", R"({"goal": "g", "sol1": "", "sol2": "b"})");
  EXPECT_ERROR(Build("piqa"), "valid.jsonl:1: choice 0 is empty");
  Write("ARC-Easy/ARC-Easy-Test.jsonl",
        R"({"question": {"stem": "q", "choices": [{"text": "a", "label": "A"}, {"text": "b", "label": "B"}]},)"
        R"( "answerKey": "C"})");
  EXPECT_ERROR(Build("arc_easy"), "ARC-Easy-Test.jsonl:1: ");
  Write("gsm8k/train.jsonl", "{\"question\": \"q\", \"answer\": \"a\"}\n");
  Write("gsm8k/test.jsonl", "{\"question\": \"x\", \"answer\": \"#### 1\"}\n");
  EXPECT_ERROR(Build("gsm8k"), "has 1 examples, but a prompt of gsm8k wants 5");
}

TEST_F(PromptsTest, AnEmptyTaskIsAMistake) {
  const auto build = [&](const std::string& expand) {
    Write("mine.yaml", "task: mine\ndata: {files: [set.jsonl]}\nexpand: '" + expand +
                           "'\ntext: q\nchoices: [x, y]\ngold: 0\nmetrics: [acc]\n");
    return Build((dir_ / "mine.yaml").string());
  };
  Write("set.jsonl", "{\"q\": []}\n");
  EXPECT_ERROR(build("{{ q | tojson }}"), "mine.yaml: the task has no item");
  EXPECT_ERROR(build("1"), "mine.yaml: expand: gives number, expected a list of objects");
  EXPECT_ERROR(build("[1]"), "mine.yaml: expand: holds number, expected objects");
  Write("set.jsonl", "");
  EXPECT_ERROR(build("[]"), "set.jsonl: holds no document");
  Write("mine.yaml", "");
  EXPECT_ERROR(FindTasks({(dir_ / "mine.yaml").string()}), "mine.yaml: \"task\" is missing");
  Write("mine.yaml", "includes: [nothing]\n");
  EXPECT_ERROR(FindTasks({(dir_ / "mine.yaml").string()}), "includes: \"nothing\" is no task that ships");
}

TEST_F(PromptsTest, ExamplesFromTheTaskItselfLeaveTheItemOut) {
  Write("mine.yaml", R"(task: mine
data: {files: [set.jsonl]}
shots: {count: 2}
text: "{{ q }}"
choices: [x, y]
gold: 0
metrics: [acc]
)");
  Write("set.jsonl", "{\"q\": \"a\"}\n{\"q\": \"b\"}\n{\"q\": \"c\"}\n");
  for (const Prompt& prompt : Build((dir_ / "mine.yaml").string())) {
    const std::string& text = prompt.requests[0].first;
    for (const char* shot : {"a x\n\n", "b x\n\n", "c x\n\n"})
      EXPECT_EQ(text.find(shot) != std::string::npos, text.back() != shot[0]) << text;
  }
}

TEST(Catalogue, RefusesWhatItDoesNotKnow) {
  EXPECT_ERROR(FindTasks({"arc_eazy"}), "--tasks: no task is named \"arc_eazy\" (did you mean arc_easy");
  EXPECT_ERROR(FindTasks({"piqa", "accuracy"}), "two tasks are named \"piqa\": in piqa.yaml and in piqa.yaml");
  EXPECT_ERROR(FindTasks({"none/mine.yaml"}), "none/mine.yaml");
}

TEST(Catalogue, EveryTaskThatShipsReads) {
  for (const ShippedTaskFile& file : ShippedTaskFiles()) EXPECT_FALSE(FindTasks({std::string(file.name)}).empty());
  EXPECT_EQ(FindTasks({"hallucination"}).size(), 4u);
}

struct BadTask {
  const char* change;  // appended
  const char* message;
};

class BadTasks : public testing::TestWithParam<BadTask> {};

TEST_P(BadTasks, SayWhere) {
  const std::string good = "task: mine\ndata: {files: [a.jsonl]}\ntext: q\nchoices: [x, y]\ngold: 0\n";
  EXPECT_ERROR(ReadTasks(good + GetParam().change, "mine.yaml"), GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    All, BadTasks,
    testing::Values(BadTask{"", "mine.yaml:1: \"metrics\" is missing"},
                    BadTask{"metrics: [acc]\nshot: {count: 1}\n", "mine.yaml:7: unknown key \"shot\""},
                    BadTask{"metrics: []\n", "\"metrics\" is missing"},
                    BadTask{"metrics: [ac]\n", "mine.yaml:6: metrics: \"ac\" is no metric of this kind of task"},
                    BadTask{"metrics: [mc2]\n", "mine.yaml:6: metrics: the metric \"mc2\" needs \"labels\""},
                    BadTask{"metrics: [acc]\nmeasures: [acc]\n", "mine.yaml:7: measures: \"acc\" is no figure of"},
                    BadTask{"metrics: [acc]\nmeasures: [auroc_of_length_alone]\n",
                            "mine.yaml:7: measures: \"auroc_of_length_alone\" needs the metric \"balanced_error\""},
                    BadTask{"metrics: [acc_norm]\nmeasures: [wrong_answer]\n",
                            "needs a metric by which an answer is right or wrong"},
                    BadTask{"metrics: [acc]\nkind: guess\n", "mine.yaml:7: kind: \"guess\" is not a choice here"},
                    BadTask{"metrics: [acc]\nkind: rolling\n", "\"target\" is missing"},
                    BadTask{"metrics: [acc]\ncontexts: [a]\n", "needs one of \"choices\""},
                    BadTask{"metrics: [acc]\nfunctions: {f: {replace: [{pattern: \"(\"}]}}\n",
                            "functions.f.replace[0].pattern: not a valid regular expression"},
                    BadTask{"metrics: [acc]\nexpand: \"{{ x\"\n", "mine.yaml:7: expand"},
                    BadTask{"metrics: [acc]\neach: {a: [], b: []}\n", "expected one name with a list of values"},
                    BadTask{"metrics: [acc]\neach: {a: []}\n", "expected at least one value"}));

// The request files that were derived from the same documents by other code, line by line.
TEST(DerivedRequests, AreTheSame) {
  const char* root = std::getenv("ECLD_TEST_DATA");
  if (root == nullptr) GTEST_SKIP() << "needs ECLD_TEST_DATA";
  const fs::path data = fs::path(root) / "data";
  for (const char* name : {"piqa", "truthfulqa_mc1", "truthfulqa_mc2"}) {
    const std::vector<Prompt> prompts = BuildPrompts(FindTasks({name})[0], DataFolder(data), {}).prompts;
    const Documents derived = ReadDocuments(DataFolder(data / "derived"),
                                            {.names = {std::string(name) + ".jsonl"}, .fields = {"ctx", "conts"}});
    ASSERT_EQ(prompts.size(), derived.documents.size()) << name;
    for (size_t i = 0; i < prompts.size(); ++i) {
      const Json& expected = derived.documents[i].fields;
      ASSERT_EQ(prompts[i].requests.size(), expected["conts"].size()) << derived.Where(i);
      for (size_t k = 0; k < prompts[i].requests.size(); ++k) {
        ASSERT_EQ(prompts[i].requests[k].first, expected["ctx"]) << derived.Where(i);
        ASSERT_EQ(prompts[i].requests[k].second, expected["conts"][k]) << derived.Where(i);
      }
      if (expected.contains("gold")) {
        ASSERT_EQ(prompts[i].gold, expected["gold"]);
      }
    }
  }
}

}  // namespace
}  // namespace ecld
