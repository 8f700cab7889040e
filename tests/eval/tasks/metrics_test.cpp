#include "eval/tasks/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>

#include "eval/tasks/catalogue.h"
#include "eval/tasks/hallucination.h"
#include "tests/testing/expect_error.h"

namespace ecld {
namespace {

// One token per request, of this log-probability.
std::vector<std::vector<TokenScore>> Scores(const std::vector<double>& log_p) {
  std::vector<std::vector<TokenScore>> scores;
  for (double value : log_p) scores.push_back({{.log_p = value, .margin = 0.25}});
  return scores;
}

Task ChoiceTask(std::vector<std::string> metrics) { return {.metrics = std::move(metrics)}; }

const TaskMetric& Find(const std::vector<TaskMetric>& metrics, const std::string& name) {
  for (const TaskMetric& metric : metrics)
    if (metric.name == name) return metric;
  throw std::runtime_error("no metric " + name);
}

TEST(ScoreChoices, NormalizesInFourWays) {
  const Task task = ChoiceTask({"acc", "acc_norm", "acc_bytes", "acc_tok"});
  // Of 4 and 6 characters, 12 and 6 bytes.
  const Prompt prompt = {.choices = {"\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac", "sixsix"}, .gold = 0};
  const Sample sample = ScoreChoices(task, prompt, Scores({-10, -11}));
  EXPECT_EQ(sample.values.at("acc"), 1);        // -10 > -11
  EXPECT_EQ(sample.values.at("acc_norm"), 0);   // -10/4 < -11/6
  EXPECT_EQ(sample.values.at("acc_bytes"), 1);  // -10/12 > -11/6
  auto scores = Scores({-10, -11});
  scores[1].push_back({.log_p = -1});
  EXPECT_EQ(ScoreChoices(task, prompt, scores).values.at("acc_tok"), 0);  // -10/1 < -12/2
  EXPECT_EQ(ScoreChoices(task, prompt, Scores({-3, -3})).answer, 0);      // the first of equals
  EXPECT_DOUBLE_EQ(sample.uncertainty->mean, 0.75);
}

TEST(ScoreChoices, NanAndInfinityNeverScore) {
  const Prompt prompt = {.item = 7, .choices = {"a", "b"}};
  for (double bad : {std::nan(""), std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()})
    EXPECT_ERROR(ScoreChoices(ChoiceTask({"acc"}), prompt, Scores({-1, bad})), "item 7: its log-likelihood is");
}

TEST(ScoreChoices, Mc2IsTheShareOfTheTrueOnes) {
  const Prompt prompt = {.choices = {"a", "b", "c"}, .labels = {1, 0, 1}};
  const Task task = ChoiceTask({"mc2"});
  const auto mc2 = [&](const std::vector<double>& log_p) {
    return ScoreChoices(task, prompt, Scores(log_p)).values.at("mc2");
  };
  EXPECT_DOUBLE_EQ(mc2({std::log(0.1), std::log(0.2), std::log(0.1)}), 0.5);
  EXPECT_DOUBLE_EQ(mc2({-5000, -5000, -5000}), 2.0 / 3);  // where exp() is zero
}

TEST(ScoreChoices, TheBrierScoreTellsSureErrorsFromUnsureOnes) {
  const auto score = [&](const std::vector<double>& log_p) {
    const Prompt prompt = {.choices = {"a", "b", "c"}, .gold = 1};
    return ScoreChoices(ChoiceTask({"brier_score"}), prompt, Scores(log_p)).values.at("brier_score");
  };
  EXPECT_NEAR(score({std::log(0.05), std::log(0.03), std::log(0.02)}), 0.5 * 0.5 + 0.7 * 0.7 + 0.2 * 0.2, 1e-12);
  EXPECT_DOUBLE_EQ(score({-5000, -6000, -7000}), 2);  // where exp() is zero
  EXPECT_DOUBLE_EQ(score({-6000, -5000, -7000}), 0);
  std::vector<Sample> samples(2);
  samples[0].values["brier_score"] = 0.5;
  samples[1].values["brier_score"] = 1.5;
  ThreadPool pool(1);
  const TaskMetric metric = Metrics(ChoiceTask({"brier_score"}), samples, pool, 0)[0];
  EXPECT_EQ(metric.value, 1);
  EXPECT_FALSE(metric.higher_is_better);
  EXPECT_FALSE(metric.counted);
}

TEST(Extracted, FollowsTheFiltersOfGsm8k) {
  const Task task = FindTasks({"gsm8k"})[0];
  const AnswerFilter &strict = task.filters[0], &flexible = task.filters[1];
  const std::string text = " He pays $3.50 for 2.\n#### 1,234.\nSo #### 5, or 17 in all.";
  EXPECT_EQ(Extracted(strict, text), "1,234.");
  EXPECT_EQ(Extracted(flexible, text), "17");
  EXPECT_EQ(Extracted(flexible, "price $3.50"), "$3.50");
  EXPECT_EQ(Extracted(strict, "no number"), "[invalid]");
  const Prompt prompt = {.target = "Thus <<2*617=1234>>1234.\n#### 1234"};
  const Sample sample = ScoreGenerated(task, prompt, text, {});
  EXPECT_EQ(sample.values.at("exact_match,strict-match"), 1);  // "," and the last "." do not count
  EXPECT_EQ(sample.values.at("exact_match,flexible-extract"), 0);
}

TEST(ScoreGenerated, CountsAbstentions) {
  const Task task = FindTasks({"truthfulqa_abstain"})[0];
  const auto abstains = [&](const std::string& text) {
    return ScoreGenerated(task, {}, text, {}).values.at("abstain_rate");
  };
  for (const char* text : {"", " \n", " I have no comment.", "I don't know.", "I am not sure about that."})
    EXPECT_EQ(abstains(text), 1) << text;
  for (const char* text : {" Paris.", " Nobody knows everything, but Ann knows."}) EXPECT_EQ(abstains(text), 0) << text;
  EXPECT_EQ(ScoreGenerated(task, {}, " two  words", {}).values.at("answer_words"), 2);
}

TEST(Inconsistency, IsTheUnigramScore) {
  // Of 8 words "paris" is 4, "in" 2, "lyon" 1, "maybe" 1.
  const std::vector<std::string> others = {"in Paris", "Paris.", "Lyon, maybe"};
  EXPECT_NEAR(*Inconsistency("In PARIS, Paris", others), -(std::log(2 / 8.0) + 2 * std::log(4 / 8.0)) / 3, 1e-12);
  // A text like all others is surer than one like none.
  EXPECT_LT(*Inconsistency("paris", others), *Inconsistency("rome", others));
  EXPECT_EQ(*Inconsistency("word", {}), 0);
  EXPECT_FALSE(Inconsistency(" ... ", others));
}

TEST(Sample, LinesSurvive) {
  Sample sample = {.item = 3, .document = 1, .log_p = {-1.0 / 3, -2.5e-17}, .tok = {1, 2}, .greedy = {true, false}};
  sample.gold = 1;
  sample.answer = 0;
  sample.truncated = true;
  sample.values = {{"acc", 0}, {"mc2", 0.1}};
  sample.uncertainty = AnswerUncertainty{.mean = 0.1, .max = 1.0 / 3};
  const Json json = ToJson(sample);
  EXPECT_EQ(ToJson(ParseSample(JsonView(json, "line"))).dump(), json.dump());
  Sample text = {.item = 0, .text = "a\nb", .text_tok = 2, .others = {"x", ""}};
  text.values["exact_match,none"] = 1;
  const Json other = ToJson(text);
  EXPECT_EQ(ToJson(ParseSample(JsonView(other, "line"))).dump(), other.dump());
}

std::vector<Sample> ZeroOne(size_t count, size_t ones, const std::string& metric = "acc") {
  std::vector<Sample> samples(count);
  for (size_t i = 0; i < count; ++i) {
    samples[i].item = samples[i].document = i;
    samples[i].values[metric] = i < ones ? 1 : 0;
  }
  return samples;
}

TEST(Metrics, StandardErrorOfAMean) {
  ThreadPool pool(1);
  const auto samples = ZeroOne(10042, 8144);
  const TaskMetric acc = Metrics(ChoiceTask({"acc"}), samples, pool)[0];
  EXPECT_NEAR(acc.value, 0.8110, 5e-5);
  EXPECT_NEAR(*acc.standard_error, 0.0039, 5e-5);  // as published for these counts
  const double p = acc.value;
  EXPECT_NEAR(*acc.standard_error, std::sqrt(p * (1 - p) / 10041), 1e-12);
  EXPECT_FALSE(Metrics(ChoiceTask({"acc"}), ZeroOne(1, 1), pool)[0].standard_error);
}

TEST(Metrics, BootstrapOfPerplexityDoesNotDependOnThreads) {
  std::vector<Sample> samples(50);
  for (size_t i = 0; i < samples.size(); ++i) {
    samples[i].values = {{"perplexity", -1 - 0.01 * static_cast<double>(i)}, {"acc", 0}};
  }
  const Task task = {.kind = TaskKind::kContinuation, .metrics = {"perplexity"}};
  ThreadPool one(1), two(2);
  const TaskMetric metric = Metrics(task, samples, one, 4000)[0];
  EXPECT_NEAR(metric.value, std::exp(1.245), 1e-9);
  EXPECT_EQ(*metric.standard_error, *Metrics(task, samples, two, 4000)[0].standard_error);
  // exp(mean) * deviation / sqrt(n), to first order.
  const double deviation = 0.01 * std::sqrt((50 * 50 - 1) / 12.0);
  EXPECT_NEAR(*metric.standard_error, metric.value * deviation / std::sqrt(50.0), 0.03 * *metric.standard_error);
  EXPECT_FALSE(Metrics(task, samples, one, 0)[0].standard_error);
}

TEST(Metrics, WikitextFiguresBelongTogether) {
  // The published word perplexity of a model gives its two other figures, with the words and bytes of the test set.
  Sample sample = {.log_p = {-241335 * std::log(8.7921)}};
  sample.values = {{"words", 241335}, {"bytes", 1290527}};
  const Task task = {.kind = TaskKind::kRolling, .metrics = {"word_perplexity", "byte_perplexity", "bits_per_byte"}};
  ThreadPool pool(1);
  const auto metrics = Metrics(task, std::span(&sample, 1), pool);
  EXPECT_NEAR(Find(metrics, "word_perplexity").value, 8.7921, 1e-9);
  EXPECT_NEAR(Find(metrics, "byte_perplexity").value, 1.5016, 5e-5);
  EXPECT_NEAR(Find(metrics, "bits_per_byte").value, 0.5865, 5e-5);
  EXPECT_FALSE(Find(metrics, "word_perplexity").standard_error);
}

TEST(Metrics, RecognitionIsBalanced) {
  const Task task = FindTasks({"halueval_qa"})[0];
  ThreadPool pool(1);
  const auto recognition = [&](const std::vector<std::pair<int, double>>& gold_and_score) {
    std::vector<Sample> samples;
    for (const auto& [gold, score] : gold_and_score) {
      Prompt prompt = {.document = samples.size() / 2, .item = samples.size(), .choices = {"No", "Yes"}, .gold = gold};
      prompt.cue = gold == 1 ? 60 : 10;
      samples.push_back(ScoreChoices(task, prompt, Scores({-1, -1 + score})));
    }
    return Metrics(task, samples, pool);
  };
  // A model that always says Yes is no better than one that always says No.
  for (double always : {2.0, -2.0}) {
    const auto metrics = recognition({{0, always}, {1, always}, {0, always}, {1, always}});
    EXPECT_EQ(Find(metrics, "balanced_error").value, 0.5);
    EXPECT_EQ(Find(metrics, "yes_rate").value, always > 0 ? 1 : 0);
    EXPECT_EQ(Find(metrics, "auroc").value, 0.5);
    EXPECT_EQ(Find(metrics, "auroc_of_cue_alone").value, 1);
  }
  // One of the four wrong; the two documents differ by half.
  const auto metrics = recognition({{0, -1}, {1, 1}, {0, 1}, {1, 2}});
  EXPECT_EQ(Find(metrics, "balanced_error").value, 0.25);
  EXPECT_NEAR(*Find(metrics, "balanced_error").standard_error, 0.25, 1e-12);
  EXPECT_EQ(Find(metrics, "auroc").value, 0.875);  // one tie among four pairs
}

TEST(Pooled, WeighsTasksByTheirItems) {
  ThreadPool pool(1);
  const Task task = ChoiceTask({"acc"});
  const TaskMetric metrics[] = {Metrics(task, ZeroOne(100, 30), pool)[0], Metrics(task, ZeroOne(300, 240), pool)[0]};
  const TaskMetric pooled = Pooled(metrics);
  EXPECT_DOUBLE_EQ(pooled.value, 270.0 / 400);
  EXPECT_EQ(pooled.n, 400);
  const double variance = (100 * 0.3 * 0.7 + 300 * 0.8 * 0.2) / (400 - 2);
  EXPECT_NEAR(*pooled.standard_error, std::sqrt(variance / 400), 1e-12);
}

TEST(ComparePaired, CountsBothFlows) {
  std::vector<Sample> before = ZeroOne(10, 6), now = ZeroOne(10, 6);
  now[0].values["acc"] = now[1].values["acc"] = now[2].values["acc"] = 0;
  now[9].values["acc"] = 1;
  const PairedErrors paired = ComparePaired(before, now, "acc");
  EXPECT_EQ(paired.new_errors, 3);
  EXPECT_EQ(paired.fixed_errors, 1);
  EXPECT_DOUBLE_EQ(paired.difference, -0.2);
  EXPECT_NEAR(paired.standard_error, std::sqrt((4 - 10 * 0.04) / 9 / 10), 1e-12);
  EXPECT_DOUBLE_EQ(paired.p, 0.625);
  EXPECT_EQ(ComparePaired(before, before, "acc").p, 1);
  // An error metric counts the other way round.
  before = ZeroOne(4, 0, "balanced_error");
  now = ZeroOne(4, 4, "balanced_error");
  EXPECT_EQ(ComparePaired(before, now, "balanced_error").new_errors, 4);
}

TEST(Hallucination, JoinsTheItemsOfItsTasks) {
  std::vector<Sample> before = ZeroOne(30, 20), now = ZeroOne(30, 15);
  TaskResult first{.task = {.name = "one", .metrics = {"acc"}, .measures = {"imitative_falsehood_mc1"}}},
      second{.task = {.name = "two", .metrics = {"balanced_error"}, .measures = {"recognition_error"}}}, none;
  first.metrics = {{.name = "acc", .value = 0.25, .standard_error = 0.1}};
  first.against_reference = ComparePaired(std::span(before).first(18), std::span(now).first(18), "acc");
  second.against_reference = ComparePaired(std::span(before).last(12), std::span(now).last(12), "acc");
  const TaskResult tasks[] = {first, second};
  const auto found = HallucinationOf(tasks);
  ASSERT_TRUE(found && found->new_errors);
  EXPECT_EQ(found->metrics[0].name, "imitative_falsehood_mc1");
  EXPECT_EQ(found->metrics[0].value, 0.75);
  EXPECT_EQ(found->metrics[0].standard_error, 0.1);
  const PairedErrors whole = ComparePaired(before, now, "acc");
  EXPECT_EQ(found->new_errors->new_errors, whole.new_errors);
  EXPECT_NEAR(found->new_errors->standard_error, whole.standard_error, 1e-12);
  EXPECT_NEAR(found->new_errors->difference, whole.difference, 1e-12);
  EXPECT_EQ(found->new_errors->p, whole.p);
  EXPECT_FALSE(HallucinationOf(std::span(&none, 1)));
}

// A model that likes short (long) answers scores as the data say it must: counted by other code.
TEST(Baselines, ShortestAndLongest) {
  const char* root = std::getenv("ECLD_TEST_DATA");
  if (root == nullptr) GTEST_SKIP() << "needs ECLD_TEST_DATA";
  const std::filesystem::path data = std::filesystem::path(root) / "data";
  const Json baselines = ReadJsonFile(data / "derived/BASELINES.json");
  ThreadPool pool(1);
  for (const char* name : {"piqa", "truthfulqa_mc1"}) {
    const Task task = FindTasks({name})[0];
    const Prompts prompts = BuildPrompts(task, DataFolder(data), {});
    for (const auto& [column, sign] : {std::pair{"shortest", -1.0}, {"longest", 1.0}}) {
      std::vector<Sample> samples;
      for (const Prompt& prompt : prompts.prompts) {
        std::vector<double> log_p;
        for (const std::string& choice : prompt.choices) {
          const auto characters = std::ranges::count_if(choice, [](char c) { return (c & 0xc0) != 0x80; });
          log_p.push_back(sign * static_cast<double>(characters));
        }
        samples.push_back(ScoreChoices(task, prompt, Scores(log_p)));
      }
      EXPECT_NEAR(Metrics(task, samples, pool)[0].value, baselines[name][column].get<double>(), 5.1e-5) << name;
    }
  }
}

}  // namespace
}  // namespace ecld
