#pragma once
// Which node runs which part of a task, and when: exact by branch and bound for small tasks, else list scheduling by
// the longest way to the end, improved while moving one part helps. A plan is worth
//   J = w_a * chance that the task is right - w_d * seconds until its answer is back;
// a task is right when all of its parts are. Nodes run one part at a time, in the order of the plan.

#include <cstdint>
#include <vector>

namespace ecld::offload {

struct ScheduleProblem {
  int nodes = 0;
  std::vector<std::vector<int>> needs;     // [parts]: lower numbers; the last part needs all others, if not itself one
  std::vector<std::vector<double>> run_s;  // [parts][nodes], above 0
  std::vector<std::vector<double>> right;  // [parts][nodes]: chances
  std::vector<double> free_s;              // [nodes]: from now, until it has run what was planned before
  std::vector<double> question_s;          // [nodes]: until the question is there
  std::vector<std::vector<std::vector<double>>> send_s;  // [parts][from][to]: of what a part answers
  std::vector<double> back_s;                            // [nodes]: of the last part's answer to who asked
  double right_weight = 1, latency_weight = 1;

  int parts() const { return static_cast<int>(needs.size()); }
};

struct Schedule {
  std::vector<int> order, node;  // of the parts
  std::vector<double> free_s;    // [nodes], afterwards
  double finish_s = 0, right = 1, score = 0;
};

// What comes of an order and a place for each part. REQUIRES: a part comes after those that it needs.
Schedule Follow(const ScheduleProblem& problem, const std::vector<int>& order, const std::vector<int>& node);
Schedule ListSchedule(const ScheduleProblem& problem);
// REQUIRES: at most kMostExactParts.
inline constexpr int kMostExactParts = 9;
Schedule ExactSchedule(const ScheduleProblem& problem);

}  // namespace ecld::offload
