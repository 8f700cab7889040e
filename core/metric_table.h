#pragma once
// The metrics of tasks, as data: which kinds of task have one, what it needs, its unit and direction, and what it is
// called in a device profile. Everything else that asks about a metric by name asks here. How it is computed is in
// eval/tasks/sample.cpp (of an item) and, where it is no mean over the items, eval/tasks/metrics.cpp.

#include <span>
#include <string_view>

namespace ecld {

// How an item is judged by a metric of it.
enum class Judges { kNot, kRightIsOne, kWrongIsOne };

struct MetricRow {
  std::string_view name;        // in task files, results and reports; there a filter may follow, after a comma
  std::string_view kinds;       // of task that have it, with | between; empty: none has it by itself
  std::string_view with = {};   // the metric that it comes with
  std::string_view needs = {};  // the key of the task file without which there is none
  std::string_view unit = "1";  // as in results
  bool higher_is_better = true;
  bool share = true;                 // at most 1
  std::string_view of_profile = {};  // the metric in quality.csv; empty: it is not there
  Judges judges = Judges::kNot;
  bool charted = false;  // worth a chart beside what a checkpoint costs
};

// A figure of hallucination: what a task that `measures` it says about that, out of one of its metrics.
struct FigureRow {
  MetricRow as;
  std::string_view of;      // the metric; empty: the one that judges the items of the task, as the share of wrong ones
  bool complement = false;  // 1 - metric
  bool headline = false;    // of the few that stand for hallucination
};

std::span<const MetricRow> MetricTable();  // those that judge items in the order in which they are asked
std::span<const FigureRow> FigureTable();  // in the order in which results have them

// Whether the metric of the figure is one that judges items.
bool JudgesItems(const FigureRow& row);
bool IsOfKind(const MetricRow& row, std::string_view kind);
// name: "acc", "exact_match,strict-match". nullptr: none of that name.
const MetricRow* FindMetric(std::string_view name);
const FigureRow* FindFigure(std::string_view name);

}  // namespace ecld
