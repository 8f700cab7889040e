// The written form of a TasksResult.

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/intervals.h"
#include "core/metric_table.h"
#include "eval/tasks/evaluate_tasks.h"
#include "eval/tasks/hallucination.h"

namespace ecld {
namespace {

constexpr double kTargets[] = {0.5, 0.6, 0.7, 0.8, 0.9, 0.95};  // accuracies to keep
constexpr size_t kCurvePoints = 50;

template <class T>
Json OrNull(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

bool IsShare(const TaskMetric& metric) {
  const FigureRow* figure = metric.task.empty() ? nullptr : FindFigure(metric.name);
  return figure ? figure->as.share : FindMetric(metric.name)->share;
}

Json MetricJson(const TaskMetric& metric, const std::string& scorer) {
  Json json = {{"name", metric.name},
               {"value", metric.value},
               {"unit", metric.unit},
               {"kind", "measured"},
               {"scorer", scorer},
               {"higher_is_better", metric.higher_is_better},
               {"n", metric.n},
               {"se", OrNull(metric.standard_error)},
               {"se_method", metric.standard_error ? Json(metric.method) : Json(nullptr)},
               {"ci95", nullptr}};
  if (!metric.task.empty()) json["task"] = metric.task;
  if (metric.counted) {
    // Of few errors or none the normal interval says too little.
    const auto [low, high] = WilsonInterval(std::llround(metric.value * static_cast<double>(metric.n)), metric.n);
    json["ci95"] = {low, high};
    json["ci95_method"] = "Wilson";
  } else if (metric.standard_error) {
    const double reach = kNormal95 * *metric.standard_error;
    const double highest = IsShare(metric) ? 1 : std::numeric_limits<double>::max();
    json["ci95"] = {std::max(0.0, metric.value - reach), std::min(highest, metric.value + reach)};
    json["ci95_method"] = "normal";
  }
  return json;
}

Json MetricsJson(const std::vector<TaskMetric>& metrics, const std::string& scorer) {
  Json json = Json::array();
  for (const TaskMetric& metric : metrics) json.push_back(MetricJson(metric, scorer));
  return json;
}

Json CurveJson(std::span<const JudgedAnswer> answers) {
  const std::vector<CoveragePoint> points = RiskCoverage(answers);
  Json curve = Json::array();
  const size_t step = std::max<size_t>(1, points.size() / kCurvePoints);
  for (size_t i = 0; i < points.size(); ++i)
    if (i % step == 0 || i + 1 == points.size())
      curve.push_back({points[i].coverage, points[i].accuracy, points[i].threshold});
  return curve;
}

Json BinsJson(std::span<const JudgedAnswer> answers) {
  Json bins = Json::array();
  for (const CalibrationBin& bin : CalibrationBins(answers))
    bins.push_back({{"low", bin.low},
                    {"high", bin.high},
                    {"n", bin.n},
                    {"accuracy", bin.accuracy},
                    {"ci95", {bin.accuracy_low, bin.accuracy_high}},
                    {"mean_uncertainty", bin.mean_uncertainty}});
  return bins;
}

Json ThresholdsJson(std::span<const JudgedAnswer> answers) {
  Json thresholds = Json::array();
  for (double target : kTargets) {
    const OffloadThreshold found = ThresholdFor(answers, target);
    thresholds.push_back({{"accuracy", target},
                          {"threshold", OrNull(found.threshold)},
                          {"coverage", found.coverage},
                          {"held_out_accuracy", OrNull(found.held_out_accuracy)},
                          {"held_out_coverage", found.held_out_coverage}});
  }
  return thresholds;
}

Json UncertaintyJson(const UncertaintyResult& uncertainty) {
  Json json = {{"of_token", "1 - (p1 - p2), temperature 1, all tokens"},
               {"right_by", uncertainty.metric},
               {"curve_columns", {"coverage", "accuracy", "threshold"}},
               {"aggregates", Json::object()}};
  for (const auto& [aggregate, answers] : uncertainty.answers)
    json["aggregates"][aggregate] = {{"n", answers.size()},
                                     {"auroc", OrNull(Auroc(answers))},
                                     {"spearman", OrNull(Spearman(answers))},
                                     {"ece", CalibrationError(answers)},
                                     {"aurc", AreaUnderRiskCoverage(answers)},
                                     {"bins", BinsJson(answers)},
                                     {"risk_coverage", CurveJson(answers)},
                                     {"offload_thresholds", ThresholdsJson(answers)}};
  return json;
}

Json PairedJson(const PairedErrors& paired) {
  return {{"n", paired.n},
          {"new_errors", paired.new_errors},
          {"fixed_errors", paired.fixed_errors},
          {"new_error_rate", double(paired.new_errors - paired.fixed_errors) / double(paired.n)},
          {"accuracy_difference", paired.difference},
          {"se", paired.standard_error},
          {"p", paired.p},
          {"test", "McNemar, exact, two-sided"}};
}

Json TaskJson(const TaskResult& result) {
  Json json = {{"task", result.task.name},
               {"group", result.task.group.empty() ? Json(nullptr) : Json(result.task.group)},
               {"task_sha256", result.task.sha256},
               {"data", {{"file", result.data_file}, {"sha256", result.data_sha256}}},
               {"shots", {{"count", result.shots}}},
               {"documents", result.documents},
               {"items", result.items},
               {"truncated_items", result.truncated},
               {"mean_answer_tok", result.mean_answer_tok},
               {"metrics", MetricsJson(result.metrics, result.task.scorer)}};
  if (result.shots > 0) json["shots"].update({{"file", result.shot_file}, {"sha256", result.shot_sha256}});
  if (result.against_reference) json["against_reference"] = PairedJson(*result.against_reference);
  if (result.uncertainty) json["uncertainty"] = UncertaintyJson(*result.uncertainty);
  json["resumed_items"] = result.resumed;
  json["seconds"] = result.seconds;
  return json;
}

Json HallucinationJson(const Hallucination& found) {
  return {{"metrics", MetricsJson(found.metrics, "ecld")},
          {"new_errors", found.new_errors ? PairedJson(*found.new_errors) : Json(nullptr)},
          {"world_factuality", nullptr},
          {"world_factuality_status", "not measured: needs a judge"}};
}

}  // namespace

Json ToJson(const TasksResult& result) {
  Json json = NewDocument(kTasksDocument);
  json["model"] = ToJson(result.model);
  json["reference"] = result.reference ? ToJson(*result.reference) : Json(nullptr);
  json["options"] = {{"limit", result.options.prompts.limit},
                     {"shots", result.options.prompts.shots},
                     {"seed", result.options.prompts.seed},
                     {"bootstrap_resamples", result.options.bootstrap}};
  json["tasks"] = Json::array();
  for (const TaskResult& task : result.tasks) json["tasks"].push_back(TaskJson(task));
  json["groups"] = Json::object();
  for (const auto& [group, metrics] : result.groups) json["groups"][group] = MetricsJson(metrics, "");
  if (const auto found = HallucinationOf(result.tasks)) json["hallucination"] = HallucinationJson(*found);
  json["runtime"] = RuntimeJson(result.options.runtime, result.kernels);
  json["peak_resident_B"] = result.peak_resident_B;
  json["device"] = ToJson(result.device, result.threads);
  return json;
}

}  // namespace ecld
