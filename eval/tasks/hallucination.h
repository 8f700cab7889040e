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
  // The headline: 1 - mc2 of TruthfulQA. Then 1 - acc of its mc1, balanced_error on HaluEval, inconsistency; and beside
  // them what the length of an answer alone tells on HaluEval (an AUROC), abstentions, words per answer.
  std::vector<TaskMetric> metrics;
  // Against the original model, over the items of mc1 and HaluEval together.
  std::optional<PairedErrors> new_errors;
};

// Absent when none of the tasks says anything about it.
std::optional<Hallucination> HallucinationOf(std::span<const TaskResult> tasks);

// Whether a wrong answer to an item of the task is a hallucination, item by item: mc1 of TruthfulQA, and HaluEval.
bool WrongIsHallucination(std::string_view task);

}  // namespace ecld
