#include "profiler/profile_scores.h"

#include <gtest/gtest.h>

#include "core/files.h"
#include "eval/tasks/evaluate_tasks.h"
#include "eval/tasks/sample_log.h"
#include "measure/measure.h"
#include "profile/query/lookup.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kItems = 60;

// Three tasks of a model and of the one it was made from, evaluated once for all tests.
class ProfileScores : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    dir_ = new TempDir;
    WriteTinyCheckpoint(*dir_ / "model", {.vocab_size = kTinyTokens, .max_position = 128});
    WriteTinyCheckpoint(*dir_ / "original", {.seed = 7, .vocab_size = kTinyTokens, .max_position = 128});
    std::string lines;
    for (int64_t i = 0; i < kItems; ++i)
      lines += fmt::format("{{\"q\": \"item {} of {}\", \"a\": \"yes {}\", \"b\": \"no, no\", \"gold\": {}}}\n", i * i,
                           kItems, i, i % 2);
    fs::create_directories(*dir_ / "data");
    WriteFileAtomically(*dir_ / "data/items.jsonl", lines);
    const std::string data = "data: {files: [items.jsonl]}\n", text = "text: \"Q: {{ q }}\\nA:\"\n";
    WriteFileAtomically(*dir_ / "pick.yaml", "task: pick\nscorer: own 1\n" + data + text +
                                                 "choices: [\"{{ a }}\", \"{{ b }}\"]\ngold: \"{{ gold }}\"\n"
                                                 "metrics: [acc, acc_norm]\n");
    // A task whose wrong answers are hallucinations, by what its file says.
    WriteFileAtomically(*dir_ / "true.yaml", "task: invented\nscorer: own 1\n" + data + text +
                                                 "choices: [\"{{ a }}\", \"{{ b }}\"]\ngold: \"{{ gold }}\"\n"
                                                 "metrics: [acc]\nmeasures: [wrong_answer]\n");
    WriteFileAtomically(*dir_ / "write.yaml", "task: write\nkind: generate\nscorer: own 1\n" + data + text +
                                                  "target: \"{{ a }}\"\nuntil: [\"e\"]\nmax_tokens: 12\n"
                                                  "metrics: [exact_match]\n");
    WriteFileAtomically(*dir_ / "say.yaml", "task: say\nkind: generate\nscorer: own 1\n" + data + text +
                                                "target: \"\"\nuntil: [\"e\"]\nmax_tokens: 12\nabstentions: [\"^x\"]\n"
                                                "metrics: [abstain_rate, answer_words]\n");
    const TasksResult result = EvaluateTasks({.model = *dir_ / "model",
                                              .reference = *dir_ / "original",
                                              .tasks = {Task("pick"), Task("true"), Task("write"), Task("say")},
                                              .data = *dir_ / "data",
                                              .samples = *dir_ / "log",
                                              .bootstrap = 0,
                                              .threads = 2});
    weights_ = result.model.weights_sha256;
    reference_weights_ = result.reference->weights_sha256;
    WriteJsonFile(*dir_ / "tasks.json", ToJson(result));
  }
  static void TearDownTestSuite() { delete dir_; }

  static std::string Task(const std::string& name) { return (*dir_ / (name + ".yaml")).string(); }

  // A profile with nothing but scores.
  static DeviceProfile Scored(const fs::path& samples = *dir_ / "log", const fs::path& planned_lengths = "") {
    DeviceProfile profile;
    profile.provenance = Json::object();
    AddScores({{*dir_ / "tasks.json"}, samples, planned_lengths}, weights_, &profile);
    return profile;
  }
  static std::vector<Sample> Logged(const char* name) { return ReadSampleLog(*dir_ / "log" / name).samples; }

  // A copy of the log with a text in its first file replaced.
  static fs::path Spoilt(const std::string& from, const std::string& to) {
    const fs::path copy = *dir_ / "spoilt";
    fs::remove_all(copy);
    fs::copy(*dir_ / "log", copy, fs::copy_options::recursive);
    std::string text = ReadTextFile(copy / "pick.jsonl");
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    if (at != std::string::npos) text.replace(at, from.size(), to);
    WriteFileAtomically(copy / "pick.jsonl", text);
    return copy;
  }

  static TempDir* dir_;
  static std::string weights_, reference_weights_;
};

TempDir* ProfileScores::dir_ = nullptr;
std::string ProfileScores::weights_, ProfileScores::reference_weights_;

TEST_F(ProfileScores, QualityHasEveryMetricUnderItsScorer) {
  const DeviceProfile profile = Scored();
  const Table& quality = profile.At("quality");
  std::map<std::string, double> values;
  for (size_t row = 0; row < quality.rows().size(); ++row) {
    values[fmt::format("{} {} {}", quality.Text(row, "task"), quality.Text(row, "metric"),
                       quality.Text(row, "prompt_fmt"))] = *quality.Number(row, "value");
    EXPECT_EQ(*quality.Count(row, "n"), kItems);
    EXPECT_FALSE(quality.Text(row, "dataset_sha256").empty());
  }
  ASSERT_EQ(values.size(), 5u);
  EXPECT_TRUE(values.contains("pick acc own 1/acc_norm"));
  EXPECT_TRUE(values.contains("write acc own 1/exact_match:none"));
  EXPECT_EQ(values.at("invented acc own 1/acc"), values.at("pick acc own 1/acc"));
  EXPECT_NEAR(values.at("invented halluc_rate ecld/wrong_answer"), 1 - values.at("pick acc own 1/acc"), 1e-12);
  EXPECT_EQ(profile.provenance["datasets"].size(), 4u);
  EXPECT_EQ(profile.provenance["datasets"][0]["precision"], "exact");
}

TEST_F(ProfileScores, EveryAnswerIsAnItemAndFallsIntoOneBin) {
  const DeviceProfile profile = Scored();
  const Table &items = profile.At("uncertainty_items"), &bins = profile.At("uncertainty");
  ASSERT_EQ(items.rows().size(), 4u * kItems);
  const std::vector<Sample> samples = Logged("pick.jsonl");
  for (size_t row = 0; row < samples.size(); ++row) {
    EXPECT_EQ(items.Text(row, "item_id"), fmt::format("pick/{}", row));
    EXPECT_EQ(*items.Number(row, "a_p90"), samples[row].uncertainty->p90);
    EXPECT_EQ(*items.Count(row, "correct"), int64_t{samples[row].answer == samples[row].gold});
    EXPECT_FALSE(items.Count(row, "halluc"));
    EXPECT_EQ(*items.Count(row + kItems, "halluc"), 1 - *items.Count(row + kItems, "correct"));
  }
  std::map<std::string, int64_t> answers, tokens;
  for (size_t row = 0; row < bins.rows().size(); ++row) {
    const std::string key = fmt::format("{} {}", bins.Text(row, "task"), bins.Text(row, "agg"));
    answers[key] += *bins.Count(row, "n");
    tokens[key] += std::lround(static_cast<double>(*bins.Count(row, "n")) * *bins.Number(row, "gen_tok_mean"));
    EXPECT_EQ(bins.Number(row, "halluc_rate").has_value(), bins.Text(row, "task") == "invented");
  }
  EXPECT_EQ(answers.size(), 3u * 5);
  int64_t written = 0;
  for (const Sample& sample : Logged("write.jsonl")) written += sample.text_tok;
  for (const auto& [key, n] : answers) EXPECT_EQ(n, kItems) << key;
  for (const char* aggregate : {"mean", "p90"}) EXPECT_EQ(tokens.at(std::string("write ") + aggregate), written);
}

TEST_F(ProfileScores, AnAnswerThatNothingJudgesHasItsLengthAndUncertainty) {
  const DeviceProfile profile = Scored();
  const std::vector<AnswerItem> answers = AnswersTo(profile.At("uncertainty_items"), "say", "mean");
  const std::vector<Sample> samples = Logged("say.jsonl");
  ASSERT_EQ(answers.size(), samples.size());
  for (size_t i = 0; i < samples.size(); ++i) {
    EXPECT_EQ(answers[i].gen_tok, samples[i].text_tok);
    EXPECT_EQ(answers[i].uncertainty, samples[i].uncertainty->mean);
    EXPECT_FALSE(answers[i].correct || answers[i].hallucination);
  }
  const Table& planner = profile.At("planner");
  for (size_t row = 0; row < planner.rows().size(); ++row)
    EXPECT_EQ(planner.Number(row, "acc").has_value(), planner.Text(row, "task") != "say");
  EXPECT_FALSE(profile.variant["uncertainty"].contains("say"));
}

TEST_F(ProfileScores, ABinIsFoundByTheUncertaintyOfAnAnswer) {
  const DeviceProfile profile = Scored();
  const Table &bins = profile.At("uncertainty"), &items = profile.At("uncertainty_items");
  const double a = *items.Number(0, "a_mean");
  double n = 0, right = 0;
  for (size_t row = 0; row < kItems; ++row)
    if (static_cast<int>(*items.Number(row, "a_mean") * 10) == static_cast<int>(a * 10)) {
      n += 1;
      right += static_cast<double>(*items.Count(row, "correct"));
    }
  const Estimate estimate = LookUpUncertainty(bins, "acc", "pick", "mean", a);
  EXPECT_TRUE(estimate.in_range);
  EXPECT_EQ(estimate.src, 'm');
  EXPECT_DOUBLE_EQ(estimate.value, right / n);
}

TEST_F(ProfileScores, ThePlannerKnowsLengthsAndWhatTheOriginalFindsDifficult) {
  const DeviceProfile profile = Scored();
  const Table& planner = profile.At("planner");
  int64_t by_difficulty = 0;
  for (size_t row = 0; row < planner.rows().size(); ++row) {
    const bool all = planner.Text(row, "difficulty_bin") == "all", write = planner.Text(row, "task") == "write";
    if (!all && planner.Text(row, "task") == "pick") by_difficulty += *planner.Count(row, "n");
    EXPECT_EQ(planner.Number(row, "out_tok_p50").has_value(), write || planner.Text(row, "task") == "say")
        << "choices have no length of their own";
    if (!all || !write) continue;
    std::vector<double> lengths;
    for (const Sample& sample : Logged("write.jsonl")) lengths.push_back(static_cast<double>(sample.text_tok));
    EXPECT_EQ(*planner.Number(row, "out_tok_p90"), Quantile(lengths, 0.9));
  }
  EXPECT_EQ(by_difficulty, kItems);
  EXPECT_EQ(profile.provenance["difficulty"]["weights_sha256"], reference_weights_);
}

TEST_F(ProfileScores, WithoutForesightALengthIsTheMeanOfTheOthers) {
  const DeviceProfile profile = Scored();
  const Table& table = profile.At("planner_len");
  int64_t n = 0;
  double error = 0, bias = 0;
  for (size_t row = 0; row < table.rows().size(); ++row) {
    const auto count = static_cast<double>(*table.Count(row, "n"));
    EXPECT_LT(*table.Count(row, "pred_bin_lo"), *table.Count(row, "pred_bin_hi"));
    n += *table.Count(row, "n");
    error += count * *table.Number(row, "mae_tok");
    bias += count * *table.Number(row, "bias_tok");
  }
  EXPECT_EQ(n, 2 * kItems) << "written answers alone";
  EXPECT_GT(error, 0);
  EXPECT_NEAR(bias, 0, 1e-9) << "a mean of others is right on the whole";
  EXPECT_EQ(profile.variant["planner_len"]["n"], 2 * kItems);
}

TEST_F(ProfileScores, ForeseenLengthsAreComparedWithTheActualOnes) {
  const std::vector<Sample> written = Logged("write.jsonl");
  Json foreseen = Json::object();
  std::vector<double> actual;
  for (size_t i = 0; i < 10; ++i) {
    foreseen[fmt::format("write/{}", written[i].item)] = static_cast<double>(written[i].text_tok) + 100;
    actual.push_back(static_cast<double>(written[i].text_tok));
  }
  foreseen["pick/0"] = 3;
  WriteJsonFile(*dir_ / "foreseen.json", foreseen);
  const DeviceProfile profile = Scored(*dir_ / "log", *dir_ / "foreseen.json");
  const Table& table = profile.At("planner_len");
  ASSERT_EQ(table.rows().size(), 1u) << "at most 12 tokens are written, so all are foreseen between 64 and 128";
  EXPECT_EQ(*table.Count(0, "pred_bin_lo"), 64);
  EXPECT_EQ(*table.Count(0, "pred_bin_hi"), 128);
  EXPECT_EQ(*table.Count(0, "n"), 10);
  EXPECT_EQ(*table.Number(0, "mae_tok"), 100);
  EXPECT_EQ(*table.Number(0, "bias_tok"), 100);
  EXPECT_EQ(*table.Number(0, "actual_p50"), Quantile(actual, 0.5));
  EXPECT_EQ(profile.variant["planner_len"]["foreseen_by"], "a file");

  WriteJsonFile(*dir_ / "foreseen.json", {{"write/0", "long"}});
  EXPECT_ERROR(Scored(*dir_ / "log", *dir_ / "foreseen.json"), "foreseen.json: write/0: expected a number");
  WriteJsonFile(*dir_ / "foreseen.json", {{"write/0", -1}});
  EXPECT_ERROR(Scored(*dir_ / "log", *dir_ / "foreseen.json"), "expected tokens, 0 or more");
  WriteJsonFile(*dir_ / "foreseen.json", {{"pick/0", 3}});
  EXPECT_ERROR(Scored(*dir_ / "log", *dir_ / "foreseen.json"), "names no generated answer of the samples");
}

TEST_F(ProfileScores, NewErrorsAreThoseOfTheResult) {
  const Json errors = Scored().variant["new_errors"];
  const Json result = ReadJsonFile(*dir_ / "tasks.json");
  EXPECT_EQ(errors["new_errors"], result["tasks"][1]["against_reference"]["new_errors"]) << "invented alone";
  EXPECT_EQ(errors["n"], kItems);
  EXPECT_EQ(errors["reference_weights_sha256"], reference_weights_);
}

TEST_F(ProfileScores, TheCurveIsThatOfTheResult) {
  const Json fit = Scored().variant["uncertainty"]["pick"]["mean"];
  const Json result = ReadJsonFile(*dir_ / "tasks.json")["tasks"][0]["uncertainty"]["aggregates"]["mean"];
  EXPECT_EQ(fit["auroc"], result["auroc"]);
  EXPECT_EQ(fit["coverage_acc"].back()[0], 1);
  EXPECT_EQ(fit["coverage_acc"].size(), result["risk_coverage"].size());
}

TEST_F(ProfileScores, WithoutSamplesThereIsQualityAlone) {
  const DeviceProfile profile = Scored("");
  EXPECT_TRUE(profile.tables.contains("quality"));
  EXPECT_EQ(profile.tables.size(), 1u);
}

TEST_F(ProfileScores, LogsOfSomethingElseAreRefused) {
  EXPECT_ERROR(Scored(*dir_ / "nowhere"), "pick.jsonl");
  EXPECT_ERROR(Scored(Spoilt(weights_, "00")), "pick.jsonl:1: weights_sha256: is 00, the result was made with");
  EXPECT_ERROR(Scored(Spoilt("\"data_sha256\":\"", "\"data_sha256\":\"0")), "data_sha256: is 0");
  EXPECT_ERROR(Scored(Spoilt("\"item\":3,", "\"item\":3000,")), "pick.jsonl: has 59 of the 60 items of the result");
  EXPECT_ERROR(Scored(Spoilt("\"uncertainty\":", "\"certainty\":")), "item 0 has no uncertainty or no acc");
}

TEST_F(ProfileScores, ResultsOfSomethingElseAreRefused) {
  DeviceProfile profile;
  EXPECT_ERROR(AddScores({{*dir_ / "tasks.json"}, ""}, "00", &profile),
               "model.weights_sha256: is the result of another checkpoint");
  EXPECT_ERROR(AddScores({{*dir_ / "tasks.json", *dir_ / "tasks.json"}, ""}, weights_, &profile),
               "acc of pick, own 1/acc, was given before; name each result once");
}

}  // namespace
}  // namespace ecld
