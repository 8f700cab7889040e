#pragma once
// What a planner expects of a task, and how well it foresees the length of an answer: planner.csv and planner_len.csv.

#include <filesystem>
#include <string>
#include <vector>

#include "eval/scored_items.h"
#include "profile/format/profile.h"

namespace ecld {

class PlannerTables {
 public:
  // foreseen: JSON, {"<task>/<item>": tokens of the answer, ...}, what a planner said before it saw any answer. Empty:
  // as a planner that reads planner.csv would, the mean of the other answers of the same task and difficulty. THROWS
  // Error: not such a file.
  explicit PlannerTables(const std::filesystem::path& foreseen);

  // A row of planner.csv, if there are items.
  void Add(const ScoredItems& of_task, const char* difficulty, const std::vector<ScoredItem>& items);
  // Answers of one task and difficulty, for planner_len.csv; choices have no length of their own and do not count.
  void AddLengths(const ScoredItems& of_task, const std::vector<ScoredItem>& items);
  // Adds the tables that have rows, and variant.planner_len: who foresaw, answers, Spearman's rank correlation.
  // THROWS Error: lengths were given, but of no answer that is there.
  void Finish(DeviceProfile* profile);

 private:
  struct Length {
    double foreseen_tok, actual_tok;
  };
  void AddBin(double low, double high, const std::vector<Length>& lengths);

  std::filesystem::path file_;
  Json foreseen_;
  std::vector<Length> lengths_;
  Table planner_, planner_len_;
};

}  // namespace ecld
