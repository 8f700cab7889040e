#include "eval/tasks/hallucination.h"

#include <algorithm>
#include <cmath>

#include "core/intervals.h"
#include "core/metric_table.h"

namespace ecld {
namespace {

// The metric of a task that a figure is made of. REQUIRES: the task measures it.
const TaskMetric* MetricFor(const FigureRow& figure, const TaskResult& result) {
  const std::string name = figure.of.empty() ? *RightOrWrong(result.task) : std::string(figure.of);
  const auto found = std::ranges::find(result.metrics, name, &TaskMetric::name);
  return found == result.metrics.end() ? nullptr : &*found;
}

bool IsComplement(const FigureRow& figure, const TaskMetric& metric) {
  return figure.of.empty() ? FindMetric(metric.name)->judges == Judges::kRightIsOne : figure.complement;
}

// The same items of several tasks, one after another.
PairedErrors Joined(const PairedErrors& a, const PairedErrors& b) {
  PairedErrors sum{
      .n = a.n + b.n, .new_errors = a.new_errors + b.new_errors, .fixed_errors = a.fixed_errors + b.fixed_errors};
  const auto n = static_cast<double>(sum.n);
  sum.difference = static_cast<double>(sum.fixed_errors - sum.new_errors) / n;
  // Differences are -1, 0 and 1: their squares are the flips.
  const double squares = static_cast<double>(sum.fixed_errors + sum.new_errors);
  sum.standard_error = std::sqrt((squares - n * sum.difference * sum.difference) / (n - 1) / n);
  sum.p = McNemarExact(sum.new_errors, sum.fixed_errors);
  return sum;
}

}  // namespace

bool WrongIsHallucination(const JsonView& result, std::string_view task) {
  if (!result.Has("hallucination")) return false;
  const JsonView metrics = result.At("hallucination").At("metrics");
  for (size_t i = 0; i < metrics.Size(); ++i) {
    const FigureRow* figure = FindFigure(metrics.At(i).At("name").String());
    if (figure && JudgesItems(*figure) && metrics.At(i).At("task").String() == task) return true;
  }
  return false;
}

std::optional<Hallucination> HallucinationOf(std::span<const TaskResult> tasks) {
  Hallucination found;
  for (const FigureRow& figure : FigureTable())
    for (const TaskResult& task : tasks) {
      if (std::ranges::find(task.task.measures, figure.as.name) == task.task.measures.end()) continue;
      const TaskMetric* of = MetricFor(figure, task);
      if (of == nullptr) continue;
      TaskMetric metric = *of;
      if (IsComplement(figure, *of)) metric.value = 1 - metric.value;
      metric.name = figure.as.name;
      metric.unit = figure.as.unit;
      metric.higher_is_better = figure.as.higher_is_better;
      metric.task = task.task.name;
      found.metrics.push_back(std::move(metric));
    }
  if (found.metrics.empty()) return std::nullopt;
  for (const TaskResult& task : tasks)
    if (task.against_reference && WrongIsHallucination(task.task))
      found.new_errors = found.new_errors ? Joined(*found.new_errors, *task.against_reference) : task.against_reference;
  return found;
}

}  // namespace ecld
