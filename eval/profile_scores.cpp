#include "eval/profile_scores.h"

#include <algorithm>
#include <map>
#include <set>
#include <span>

#include "core/error.h"
#include "eval/evaluate.h"
#include "eval/measure.h"
#include "eval/tasks/evaluate_tasks.h"
#include "eval/tasks/hallucination.h"
#include "eval/tasks/sample_log.h"
#include "eval/uncertainty.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

// What a metric of `eval --tasks` is in quality.csv. Those of the second kind stand in the result's section on
// hallucination.
struct MetricName {
  std::string_view of_eval, of_profile;
};
constexpr MetricName kTaskMetrics[] = {
    {"acc", "acc"},         {"acc_norm", "acc"},   {"acc_bytes", "acc"},       {"acc_tok", "acc"},
    {"exact_match", "acc"}, {"perplexity", "ppl"}, {"word_perplexity", "ppl"}, {"byte_perplexity", "ppl"}};
constexpr MetricName kHallucinationMetrics[] = {{"imitative_falsehood", "halluc_rate"},
                                                {"imitative_falsehood_mc1", "halluc_rate"},
                                                {"recognition_error", "halluc_rate"},
                                                {"abstain_rate", "abstain_frac"}};

// "exact_match,strict-match" is an exact_match.
std::optional<std::string> ProfileMetric(std::span<const MetricName> names, std::string_view metric) {
  for (const MetricName& name : names)
    if (metric.substr(0, metric.find(',')) == name.of_eval) return std::string(name.of_profile);
  return std::nullopt;
}

// A text that CSV can hold: "exact_match,strict-match" with a colon.
std::string Plain(std::string text) {
  for (char& c : text)
    if (c == ',' || c == '"') c = ':';
  return text;
}

// One answer of a task, as uncertainty_items.csv has it.
struct Item {
  size_t item = 0;
  bool correct = false;
  int64_t gen_tok = 0;
  AnswerUncertainty uncertainty;
};

struct TaskItems {
  std::string task;
  bool generated = false;      // the answers are texts, not choices
  bool hallucination = false;  // a wrong answer is one
  std::vector<Item> items;
};

double Share(const std::vector<Item>& items) {
  double right = 0;
  for (const Item& item : items) right += item.correct;
  return right / static_cast<double>(items.size());
}

double MeanOf(const std::vector<double>& values) {
  double sum = 0;
  for (double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

class Scores {
 public:
  Scores(const fs::path& samples, std::string weights_sha256, DeviceProfile* profile)
      : samples_(samples), weights_sha256_(std::move(weights_sha256)), profile_(*profile) {
    for (const char* table : {"quality", "uncertainty", "uncertainty_items", "planner"}) profile_.tables.erase(table);
    if (profile_.variant.is_null()) profile_.variant = Json::object();
    profile_.provenance["datasets"] = Json::array();
    profile_.provenance.erase("difficulty");
    profile_.variant.erase("uncertainty");
    profile_.variant.erase("new_errors");
  }

  void Add(const fs::path& file) {
    const Json json = ReadJsonFile(file);
    const JsonView result(json, file.string());
    const std::string schema = result.At("schema").String();
    if (schema != kEvalSchema && schema != kTasksSchema)
      Fail(result.At("schema").Where(), "expected \"{}\" or \"{}\", found \"{}\"", kEvalSchema, kTasksSchema, schema);
    const JsonView weights = result.At("model").At("weights_sha256");
    if (weights.String() != weights_sha256_)
      Fail(weights.Where(), "is the result of another checkpoint than the one profiled");
    if (schema == kEvalSchema)
      AddText(result);
    else
      AddTasks(result);
  }

  void Finish() {
    for (Table* table : {&quality_, &bins_, &items_, &planner_})
      if (!table->rows().empty())
        profile_.tables.emplace(table->schema().name, ProfileTable{TableStatus::kComplete, std::move(*table)});
  }

 private:
  void AddText(const JsonView& result) {
    const JsonView windows = result.At("windows"), text = result.At("text"), metrics = result.At("metrics");
    const std::string task = Plain(fs::path(text.At("file").String()).stem().string());
    const std::string sha256 = text.At("sha256").String();
    for (size_t i = 0; i < metrics.Size(); ++i) {
      const JsonView metric = metrics.At(i);
      if (metric.At("name").String() != "perplexity") continue;
      const std::string format =
          fmt::format("window {} stride {}", windows.At("window_tok").Int(), windows.At("stride_tok").Int());
      AddQuality(task, "ppl", format, 0, metric, sha256);
    }
    AddDataset(task, windows.At("scored_tok").Int(), sha256, result);
  }

  void AddTasks(const JsonView& result) {
    const JsonView tasks = result.At("tasks");
    for (size_t i = 0; i < tasks.Size(); ++i) {
      const JsonView task = tasks.At(i);
      AddMetrics(kTaskMetrics, task, task.At("metrics"), task.At("data").At("sha256").String());
      AddDataset(task.At("task").String(), task.At("items").Int(), task.At("data").At("sha256").String(), result);
      if (task.Has("uncertainty") && !samples_.empty()) AddAnswers(task, result);
    }
    for (const std::string& group : result.At("groups").Keys()) AddGroup(group, tasks, result.At("groups").At(group));
    if (!result.Has("hallucination")) return;
    if (result.At("hallucination").Has("new_errors")) {
      Json& errors = profile_.variant["new_errors"] = result.At("hallucination").At("new_errors").json();
      errors["reference_weights_sha256"] = result.At("reference").At("weights_sha256").String();
    }
    const JsonView metrics = result.At("hallucination").At("metrics");
    for (size_t i = 0; i < metrics.Size(); ++i)
      for (size_t k = 0; k < tasks.Size(); ++k)
        if (const JsonView task = tasks.At(k); task.At("task").String() == metrics.At(i).At("task").String())
          AddMetric(kHallucinationMetrics, task.At("task").String(), task.At("shots").At("count").Int(), metrics.At(i),
                    metrics.At(i).At("scorer").String(), task.At("data").At("sha256").String());
  }

  void AddMetrics(std::span<const MetricName> names, const JsonView& task, const JsonView& metrics,
                  const std::string& sha256) {
    for (size_t i = 0; i < metrics.Size(); ++i)
      AddMetric(names, task.At("task").String(), task.At("shots").At("count").Int(), metrics.At(i),
                metrics.At(i).At("scorer").String(), sha256);
  }

  // The mean over the tasks of a group: scored as its members are, from several files.
  void AddGroup(const std::string& group, const JsonView& tasks, const JsonView& metrics) {
    for (size_t i = 0; i < tasks.Size(); ++i) {
      const JsonView task = tasks.At(i);
      if (task.StringOr("group", "") != group) continue;
      for (size_t k = 0; k < metrics.Size(); ++k)
        AddMetric(kTaskMetrics, group, task.At("shots").At("count").Int(), metrics.At(k),
                  task.At("metrics").At(size_t{0}).At("scorer").String(), "");
      return;
    }
  }

  void AddMetric(std::span<const MetricName> names, const std::string& task, int64_t shots, const JsonView& metric,
                 const std::string& scorer, const std::string& sha256) {
    const std::string name = metric.At("name").String();
    if (const auto known = ProfileMetric(names, name))
      AddQuality(task, *known, Plain(scorer + "/" + name), shots, metric, sha256);
  }

  void AddQuality(const std::string& task, const std::string& name, const std::string& format, int64_t shots,
                  const JsonView& metric, const std::string& sha256) {
    if (!named_.insert(task + "/" + format).second)
      Fail(metric.Where(), "{} of {}, {}, was given before; name each result once", name, task, format);
    quality_.AddRow();
    quality_.Set("task", Plain(task));
    quality_.Set("metric", name);
    quality_.Set("prompt_fmt", format);
    quality_.Set("shots", shots);
    quality_.Set("value", metric.At("value").Number());
    if (metric.Has("ci95")) {
      quality_.Set("ci_lo", metric.At("ci95").At(size_t{0}).Number());
      quality_.Set("ci_hi", metric.At("ci95").At(size_t{1}).Number());
    }
    quality_.Set("n", metric.At("n").Int());
    if (!sha256.empty()) quality_.Set("dataset_sha256", sha256);
    quality_.Set("src", std::string("m"));
  }

  void AddDataset(const std::string& name, int64_t n, const std::string& sha256, const JsonView& result) {
    const JsonView runtime = result.At("runtime");
    profile_.provenance["datasets"].push_back({{"name", name},
                                               {"split", nullptr},
                                               {"n", n},
                                               {"sha256", sha256},
                                               {"licence", nullptr},
                                               {"precision", runtime.At("precision").String()},
                                               {"kv", runtime.At("kv").String()}});
  }

  // The items of the log below folder, which must be of this task and these weights.
  TaskItems Items(const JsonView& task, const fs::path& folder, const std::string& weights_sha256) const {
    TaskItems found{.task = task.At("task").String()};
    found.hallucination = WrongIsHallucination(found.task);
    const fs::path path = folder / (found.task + ".jsonl");
    const LoggedSamples log = ReadSampleLog(path);
    const JsonView heading(log.heading, path.string() + ":1");
    const auto same = [&](const char* key, const std::string& expected) {
      if (heading.At(key).String() != expected)
        Fail(heading.At(key).Where(), "is {}, the result was made with {}", heading.At(key).String(), expected);
    };
    same("weights_sha256", weights_sha256);
    same("task_sha256", task.At("task_sha256").String());
    same("data_sha256", task.At("data").At("sha256").String());
    const std::string metric = task.At("uncertainty").At("right_by").String();
    const int64_t wanted = task.At("items").Int();
    for (const Sample& sample : log.samples) {
      if (static_cast<int64_t>(sample.item) >= wanted) continue;
      if (!sample.uncertainty || !sample.values.contains(metric))
        Fail(path.string(), "item {} has no uncertainty or no {}", sample.item, metric);
      found.generated |= sample.log_p.empty();
      found.items.push_back({.item = sample.item,
                             .correct = IsRight(sample, metric),
                             .gen_tok = sample.log_p.empty()
                                            ? sample.text_tok
                                            : sample.tok[static_cast<size_t>(std::max<int64_t>(0, sample.answer))],
                             .uncertainty = *sample.uncertainty});
    }
    if (static_cast<int64_t>(found.items.size()) != wanted)
      Fail(path.string(), "has {} of the {} items of the result", found.items.size(), wanted);
    return found;
  }

  void AddAnswers(const JsonView& task, const JsonView& result) {
    const TaskItems now = Items(task, samples_, weights_sha256_);
    AddItems(now);
    for (std::string_view aggregate : kUncertaintyAggregates) AddBins(now, aggregate);
    AddPlanner(now, "all", now.items);
    AddCurves(task);
    if (!result.Has("reference") || !task.Has("against_reference")) return;
    const std::string reference_sha256 = result.At("reference").At("weights_sha256").String();
    if (reference_sha256 == weights_sha256_) return;  // difficulty is never what the judged model finds difficult
    const TaskItems before = Items(task, samples_ / "reference", reference_sha256);
    std::vector<Item> easy, hard;
    for (size_t i = 0; i < now.items.size(); ++i) (before.items[i].correct ? easy : hard).push_back(now.items[i]);
    AddPlanner(now, "reference right", easy);
    AddPlanner(now, "reference wrong", hard);
    profile_.provenance["difficulty"] = {{"source", "whether the reference model answered right"},
                                         {"weights_sha256", reference_sha256}};
  }

  void AddItems(const TaskItems& of_task) {
    for (const Item& item : of_task.items) {
      items_.AddRow();
      items_.Set("item_id", fmt::format("{}/{}", Plain(of_task.task), item.item));
      items_.Set("correct", int64_t{item.correct});
      if (of_task.hallucination) items_.Set("halluc", int64_t{!item.correct});
      items_.Set("gen_tok", item.gen_tok);
      for (std::string_view aggregate : kUncertaintyAggregates)
        items_.Set(fmt::format("a_{}", aggregate), item.uncertainty.Get(aggregate));
      items_.Set("src", std::string("m"));
      items_.Set("n", int64_t{1});
    }
  }

  void AddBins(const TaskItems& of_task, std::string_view aggregate) {
    std::vector<JudgedAnswer> answers;
    std::map<size_t, double> tokens;  // by bin
    for (const Item& item : of_task.items) {
      answers.push_back({item.uncertainty.Get(aggregate), item.correct});
      tokens[BinOf(answers.back().uncertainty)] += static_cast<double>(item.gen_tok);
    }
    for (const CalibrationBin& bin : CalibrationBins(answers)) {
      bins_.AddRow();
      bins_.Set("task", Plain(of_task.task));
      bins_.Set("agg", std::string(aggregate));
      bins_.Set("temperature", 1.0);
      bins_.Set("topk", int64_t{0});
      bins_.Set("bin_lo", bin.low);
      bins_.Set("bin_hi", bin.high);
      bins_.Set("n", bin.n);
      bins_.Set("acc", bin.accuracy);
      bins_.Set("acc_lo", bin.accuracy_low);
      bins_.Set("acc_hi", bin.accuracy_high);
      if (of_task.hallucination) bins_.Set("halluc_rate", 1 - bin.accuracy);
      bins_.Set("gen_tok_mean", tokens[BinOf((bin.low + bin.high) / 2)] / static_cast<double>(bin.n));
      bins_.Set("src", std::string("m"));
    }
  }

  void AddPlanner(const TaskItems& of_task, const char* difficulty, const std::vector<Item>& items) {
    if (items.empty()) return;
    std::vector<double> lengths, uncertainty;
    for (const Item& item : items) {
      lengths.push_back(static_cast<double>(item.gen_tok));
      uncertainty.push_back(item.uncertainty.mean);
    }
    planner_.AddRow();
    planner_.Set("task", Plain(of_task.task));
    planner_.Set("difficulty_bin", std::string(difficulty));
    planner_.Set("n", static_cast<int64_t>(items.size()));
    planner_.Set("acc", Share(items));
    if (of_task.hallucination) planner_.Set("halluc_rate", 1 - Share(items));
    if (of_task.generated) {
      for (auto [column, q] : {std::pair{"out_tok_p10", 0.1}, {"out_tok_p50", 0.5}, {"out_tok_p90", 0.9}})
        planner_.Set(column, Quantile(lengths, q));
      planner_.Set("out_tok_mean", MeanOf(lengths));
      planner_.Set("out_tok_std", Summarize(lengths).std_ms);
    }
    planner_.Set("a_mean", MeanOf(uncertainty));
    planner_.Set("src", std::string("m"));
  }

  // As the result has it.
  void AddCurves(const JsonView& task) {
    const JsonView aggregates = task.At("uncertainty").At("aggregates");
    Json& curves = profile_.variant["uncertainty"][task.At("task").String()];
    for (const std::string& name : aggregates.Keys()) {
      const JsonView aggregate = aggregates.At(name);
      Json curve = Json::array();
      for (size_t i = 0; i < aggregate.At("risk_coverage").Size(); ++i) {
        const JsonView point = aggregate.At("risk_coverage").At(i);
        curve.push_back({point.At(size_t{0}).Number(), point.At(size_t{1}).Number()});
      }
      curves[name] = {{"auroc", aggregate.At("auroc").json()},
                      {"spearman", aggregate.At("spearman").json()},
                      {"ece", aggregate.At("ece").Number()},
                      {"coverage_acc", curve},
                      {"offload_thresholds", aggregate.At("offload_thresholds").json()}};
    }
  }

  fs::path samples_;
  std::string weights_sha256_;
  DeviceProfile& profile_;
  std::set<std::string> named_;
  Table quality_{FindTableSchema("quality", "profile")}, bins_{FindTableSchema("uncertainty", "profile")},
      items_{FindTableSchema("uncertainty_items", "profile")}, planner_{FindTableSchema("planner", "profile")};
};

}  // namespace

void AddScores(const ScoreFiles& files, const std::string& weights_sha256, DeviceProfile* profile) {
  Scores scores(files.samples, weights_sha256, profile);
  for (const fs::path& result : files.results) scores.Add(result);
  scores.Finish();
}

}  // namespace ecld
