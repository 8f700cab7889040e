#include "cli/device/eval_tasks.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "cli/device/output.h"
#include "cli/device/program.h"
#include "core/error.h"
#include "core/progress.h"
#include "eval/tasks/hallucination.h"

namespace ecld {
namespace {

using Rows = std::vector<std::vector<std::string>>;

std::string StandardError(const TaskMetric& metric) {
  return metric.standard_error ? fmt::format("{:.4f}", *metric.standard_error) : "";
}

void AddRows(const std::string& task, int64_t shots, const std::vector<TaskMetric>& metrics, Rows* rows) {
  for (const TaskMetric& metric : metrics)
    rows->push_back({task, metric.name, fmt::format("{:.4f}", metric.value), StandardError(metric),
                     fmt::format("{}", metric.n), fmt::format("{}", shots)});
}

void PrintMetrics(const TasksResult& result) {
  Rows rows = {{"task", "metric", "value", "std. error", "items", "shots"}};
  for (const TaskResult& task : result.tasks) AddRows(task.task.name, task.shots, task.metrics, &rows);
  for (const auto& [group, metrics] : result.groups) AddRows(group, result.tasks.front().shots, metrics, &rows);
  PrintTable(rows);
}

void PrintHallucination(const TasksResult& result) {
  const auto found = HallucinationOf(result.tasks);
  if (!found) return;
  Rows rows = {{"hallucination", "value", "std. error", "items", "unit"}};
  for (const TaskMetric& metric : found->metrics)
    rows.push_back({metric.name, fmt::format("{:.4f}", metric.value), StandardError(metric),
                    fmt::format("{}", metric.n), metric.unit});
  if (const auto& paired = found->new_errors)
    rows.push_back({"new errors less fixed ones", fmt::format("{:+.4f}", -paired->difference),
                    fmt::format("{:.4f}", paired->standard_error), fmt::format("{}", paired->n),
                    fmt::format("p {:.3g}", paired->p)});
  rows.push_back({"factuality against the world", "not measured", "", "", "needs a judge"});
  fmt::print("\n");
  PrintTable(rows);
}

void PrintPaired(const TasksResult& result) {
  if (!result.reference) return;
  Rows rows = {{"against " + result.reference->directory, "new errors", "fixed errors", "accuracy difference",
                "std. error", "p"}};
  for (const TaskResult& task : result.tasks)
    if (const auto& paired = task.against_reference)
      rows.push_back({task.task.name, fmt::format("{}", paired->new_errors), fmt::format("{}", paired->fixed_errors),
                      fmt::format("{:+.4f}", paired->difference), fmt::format("{:.4f}", paired->standard_error),
                      fmt::format("{:.3g}", paired->p)});
  fmt::print("\n");
  PrintTable(rows);
}

std::string OrDash(const std::optional<double>& value) { return value ? fmt::format("{:.3f}", *value) : "-"; }

void PrintUncertainty(const TasksResult& result) {
  Rows rows = {{"uncertainty of answers", "AUROC", "ECE", "area under risk-coverage"}};
  for (const TaskResult& task : result.tasks) {
    if (!task.uncertainty) continue;
    for (std::string_view aggregate : kUncertaintyAggregates) {
      const auto& answers = task.uncertainty->answers.at(std::string(aggregate));
      rows.push_back({fmt::format("{}, {} over tokens", task.task.name, aggregate), OrDash(Auroc(answers)),
                      OrDash(CalibrationError(answers)), OrDash(AreaUnderRiskCoverage(answers))});
    }
  }
  if (rows.size() == 1) return;
  fmt::print("\n");
  PrintTable(rows);
}

void Print(const TasksResult& result) {
  PrintMetrics(result);
  PrintHallucination(result);
  PrintPaired(result);
  PrintUncertainty(result);
  double seconds = 0;
  for (const TaskResult& task : result.tasks) {
    seconds += task.seconds;
    if (task.truncated > 0)
      fmt::print("\n{}: {} of {} contexts were longer than the model's positions and cut on the left", task.task.name,
                 task.truncated, task.items);
  }
  fmt::print("\n{} ({}, {}; {}, kv {}, {}), in {}\n", result.model.directory, result.model.format,
             FormatBytes(result.model.weights_B + result.model.interleaved_B), Name(result.options.runtime.precision),
             Name(result.options.runtime.Kv()), result.kernels, FormatDuration(seconds));
}

}  // namespace

void AddTaskFlags(CLI::App& verb, CLI::Option* tasks, TaskFlags* flags) {
  TaskEvalOptions& eval = flags->eval;
  verb.add_option("--data", eval.data, "folder below which the tasks' data files lie")->type_name("DIR")->needs(tasks);
  verb.add_option("--limit", eval.prompts.limit, "only the first N items of each task (default: all)")
      ->check(CLI::NonNegativeNumber)
      ->type_name("N")
      ->needs(tasks);
  verb.add_option("--shots", eval.prompts.shots, "examples before each question (default: as the task says)")
      ->check(CLI::NonNegativeNumber)
      ->type_name("N")
      ->needs(tasks);
  verb.add_option("--seed", eval.prompts.seed, "of the drawn examples")->capture_default_str()->needs(tasks);
  verb.add_option("--samples", eval.samples, "write every sample there; the same command goes on where it stopped")
      ->type_name("DIR")
      ->needs(tasks);
  verb.add_option("--bootstrap", eval.bootstrap, "resamples for the error of a perplexity; 0: none")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str()
      ->needs(tasks);
}

void RunTaskEval(const TaskFlags& flags, const std::string& json) {
  if (flags.eval.data.empty()) Fail("--data", "is missing: the folder below which the tasks' data files lie");
  if (!flags.eval.samples.empty()) SetInterruptNote("the same command resumes");
  const TasksResult result = EvaluateTasks(flags.eval);
  if (!WriteJson(json, ToJson(result))) Print(result);
}

}  // namespace ecld
