#include "eval/tasks/hallucination.h"

#include <algorithm>
#include <cmath>

#include "core/intervals.h"

namespace ecld {
namespace {

struct Figure {
  const char* task;    // any when empty
  const char* metric;  // of the task
  const char* name;
  bool complement;  // 1 - metric
};

constexpr Figure kFigures[] = {{"", "mc2", "imitative_falsehood", true},
                               {"truthfulqa_mc1", "acc", "imitative_falsehood_mc1", true},
                               {"", "balanced_error", "recognition_error", false},
                               {"", "auroc_of_cue_alone", "auroc_of_length_alone", false},
                               {"", "inconsistency", "inconsistency", false},
                               {"", "abstain_rate", "abstain_rate", false},
                               {"truthfulqa_abstain", "answer_words", "answer_words", false}};
constexpr std::string_view kWrongIsHallucination[] = {"truthfulqa_mc1", "halueval_qa"};

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

bool WrongIsHallucination(std::string_view task) {
  return std::ranges::find(kWrongIsHallucination, task) != std::end(kWrongIsHallucination);
}

std::optional<Hallucination> HallucinationOf(std::span<const TaskResult> tasks) {
  Hallucination found;
  for (const Figure& figure : kFigures)
    for (const TaskResult& task : tasks) {
      if (*figure.task != '\0' && task.task.name != figure.task) continue;
      for (TaskMetric metric : task.metrics) {
        if (metric.name != figure.metric) continue;
        metric.name = figure.name;
        metric.task = task.task.name;
        if (figure.complement) {
          metric.value = 1 - metric.value;
          metric.higher_is_better = false;
        }
        found.metrics.push_back(std::move(metric));
      }
    }
  if (found.metrics.empty()) return std::nullopt;
  for (const TaskResult& task : tasks)
    if (task.against_reference && WrongIsHallucination(task.task.name))
      found.new_errors = found.new_errors ? Joined(*found.new_errors, *task.against_reference) : task.against_reference;
  return found;
}

}  // namespace ecld
