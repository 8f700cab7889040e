#pragma once
// The figures of hallucination out of the tasks that were run: four, side by side, never blended into one. Lower is
// better but for those that only stand beside them.

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "eval/tasks/evaluate_tasks.h"

namespace ecld {

struct Hallucination {
  // What the tasks say that they measure, in the order of FigureTable. The headline is 1 - mc2 of TruthfulQA.
  std::vector<TaskMetric> metrics;
  // Against the original model, over the items of mc1 and HaluEval together.
  std::optional<PairedErrors> new_errors;
};

// Absent when none of the tasks says anything about it.
std::optional<Hallucination> HallucinationOf(std::span<const TaskResult> tasks);

// The same of a task by its name, from the written form of a result.
bool WrongIsHallucination(const JsonView& result, std::string_view task);

}  // namespace ecld
