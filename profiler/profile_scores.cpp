#include "profiler/profile_scores.h"

#include <map>
#include <set>

#include "core/error.h"
#include "core/metric_table.h"
#include "eval/evaluate.h"
#include "eval/tasks/hallucination.h"
#include "eval/uncertainty.h"
#include "profiler/profile_planner.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

// What a metric of `eval --tasks` is in quality.csv, and a figure of the result's section on hallucination; empty: it
// is not there.
using ProfileName = std::string_view (*)(std::string_view name);
std::string_view OfMetric(std::string_view name) {
  const MetricRow* row = FindMetric(name);
  return row ? row->of_profile : std::string_view();
}
std::string_view OfFigure(std::string_view name) {
  const FigureRow* row = FindFigure(name);
  return row ? row->as.of_profile : std::string_view();
}

class Scores {
 public:
  Scores(const ScoreFiles& files, std::string weights_sha256, DeviceProfile* profile)
      : samples_(files.samples),
        weights_sha256_(std::move(weights_sha256)),
        profile_(*profile),
        planner_(files.planned_lengths) {
    for (const char* table : {"quality", "uncertainty", "uncertainty_items", "planner", "planner_len"})
      profile_.tables.erase(table);
    if (profile_.variant.is_null()) profile_.variant = Json::object();
    profile_.provenance["datasets"] = Json::array();
    profile_.provenance.erase("difficulty");
    profile_.variant.erase("uncertainty");
    profile_.variant.erase("new_errors");
    profile_.variant.erase("planner_len");
  }

  void Add(const fs::path& file) {
    const Json json = ReadJsonFile(file);
    const JsonView result(json, file.string());
    const DocumentKind& kind = KindOf(result, {&kEvalDocument, &kTasksDocument});
    const JsonView weights = result.At("model").At("weights_sha256");
    if (weights.String() != weights_sha256_)
      Fail(weights.Where(), "is the result of another checkpoint than the one profiled");
    if (&kind == &kEvalDocument)
      AddText(result);
    else
      AddTasks(result);
  }

  void Finish() {
    for (Table* table : {&quality_, &bins_, &items_}) profile_.Add(std::move(*table));
    planner_.Finish(&profile_);
  }

 private:
  void AddText(const JsonView& result) {
    const JsonView windows = result.At("windows"), text = result.At("text"), metrics = result.At("metrics");
    const std::string task = PlainCell(fs::path(text.At("file").String()).stem().string());
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
      AddMetrics(OfMetric, task, task.At("metrics"), task.At("data").At("sha256").String());
      AddDataset(task.At("task").String(), task.At("items").Int(), task.At("data").At("sha256").String(), result);
      if (!samples_.empty()) AddAnswers(task, result);
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
          AddMetric(OfFigure, task.At("task").String(), task.At("shots").At("count").Int(), metrics.At(i),
                    metrics.At(i).At("scorer").String(), task.At("data").At("sha256").String());
  }

  void AddMetrics(ProfileName of_profile, const JsonView& task, const JsonView& metrics, const std::string& sha256) {
    for (size_t i = 0; i < metrics.Size(); ++i)
      AddMetric(of_profile, task.At("task").String(), task.At("shots").At("count").Int(), metrics.At(i),
                metrics.At(i).At("scorer").String(), sha256);
  }

  // The mean over the tasks of a group: scored as its members are, from several files.
  void AddGroup(const std::string& group, const JsonView& tasks, const JsonView& metrics) {
    for (size_t i = 0; i < tasks.Size(); ++i) {
      const JsonView task = tasks.At(i);
      if (task.StringOr("group", "") != group) continue;
      for (size_t k = 0; k < metrics.Size(); ++k)
        AddMetric(OfMetric, group, task.At("shots").At("count").Int(), metrics.At(k),
                  task.At("metrics").At(size_t{0}).At("scorer").String(), "");
      return;
    }
  }

  void AddMetric(ProfileName of_profile, const std::string& task, int64_t shots, const JsonView& metric,
                 const std::string& scorer, const std::string& sha256) {
    const std::string name = metric.At("name").String();
    if (const std::string_view known = of_profile(name); !known.empty())
      AddQuality(task, std::string(known), PlainCell(scorer + "/" + name), shots, metric, sha256);
  }

  void AddQuality(const std::string& task, const std::string& name, const std::string& format, int64_t shots,
                  const JsonView& metric, const std::string& sha256) {
    if (!named_.insert(task + "/" + format).second)
      Fail(metric.Where(), "{} of {}, {}, was given before; name each result once", name, task, format);
    quality_.AddRow();
    quality_.Set("task", PlainCell(task));
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

  void AddAnswers(const JsonView& task, const JsonView& result) {
    const bool hallucination = WrongIsHallucination(result, task.At("task").String());
    const ScoredItems now = ReadScoredItems(task, hallucination, samples_, weights_sha256_);
    AddItems(now);
    planner_.Add(now, "all", now.items);
    if (!now.judged) return planner_.AddLengths(now, now.items);
    for (std::string_view aggregate : kUncertaintyAggregates) AddBins(now, aggregate);
    AddCurves(task);
    const std::string reference_sha256 = result.Has("reference") && task.Has("against_reference")
                                             ? result.At("reference").At("weights_sha256").String()
                                             : weights_sha256_;
    // Difficulty is never what the judged model finds difficult.
    if (reference_sha256 == weights_sha256_) return planner_.AddLengths(now, now.items);
    const ScoredItems before = ReadScoredItems(task, hallucination, samples_ / "reference", reference_sha256);
    std::vector<ScoredItem> easy, hard;
    for (size_t i = 0; i < now.items.size(); ++i) (before.items[i].correct ? easy : hard).push_back(now.items[i]);
    for (const auto& [name, items] : {std::pair{"reference right", &easy}, {"reference wrong", &hard}}) {
      planner_.Add(now, name, *items);
      planner_.AddLengths(now, *items);
    }
    profile_.provenance["difficulty"] = {{"source", "whether the reference model answered right"},
                                         {"weights_sha256", reference_sha256}};
  }

  void AddItems(const ScoredItems& of_task) {
    for (const ScoredItem& item : of_task.items) {
      items_.AddRow();
      items_.Set("item_id", ItemId(of_task.task, item.item));
      if (of_task.judged) items_.Set("correct", int64_t{item.correct});
      if (of_task.judged && of_task.hallucination) items_.Set("halluc", int64_t{!item.correct});
      items_.Set("gen_tok", item.gen_tok);
      for (std::string_view aggregate : kUncertaintyAggregates)
        items_.Set(fmt::format("a_{}", aggregate), item.uncertainty.Get(aggregate));
      items_.Set("src", std::string("m"));
      items_.Set("n", int64_t{1});
    }
  }

  void AddBins(const ScoredItems& of_task, std::string_view aggregate) {
    std::vector<JudgedAnswer> answers;
    std::map<size_t, double> tokens;  // by bin
    for (const ScoredItem& item : of_task.items) {
      answers.push_back({item.uncertainty.Get(aggregate), item.correct});
      tokens[BinOf(answers.back().uncertainty)] += static_cast<double>(item.gen_tok);
    }
    for (const CalibrationBin& bin : CalibrationBins(answers)) {
      bins_.AddRow();
      bins_.Set("task", PlainCell(of_task.task));
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
      items_{FindTableSchema("uncertainty_items", "profile")};
  PlannerTables planner_;
};

}  // namespace

void AddScores(const ScoreFiles& files, const std::string& weights_sha256, DeviceProfile* profile) {
  Scores scores(files, weights_sha256, profile);
  for (const fs::path& result : files.results) scores.Add(result);
  scores.Finish();
}

}  // namespace ecld
