#pragma once
// The rows of a stage's report, one for each block or tensor. While the stage runs they are kept in a file, each one as
// soon as it is known, so that what a killed run found out is in the report of the run that goes on. Each row is a mark
// of time and memory too: the figures of a stage are those of all its parts, up to the last row of each.
//
// A row may say "degraded": "text" when something was done in a lesser way than asked; the report lists those.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/json.h"

namespace ecld {

class ReportRows {
 public:
  // Of a stage that cannot be killed and resumed: in memory only.
  ReportRows() = default;
  // Reads what earlier parts of this stage left in file. A line that a kill cut off does not count.
  explicit ReportRows(std::filesystem::path file);

  const Json* Find(const std::string& name) const;  // null: there is none
  // Adds the row of a block or tensor, or replaces it. THROWS Error when the file cannot be written.
  void Add(const std::string& name, Json row);

  // Array of the rows whose names begin so, in the order of their names' first rows.
  Json All(std::string_view prefix = {}) const;
  Json Degraded() const;  // array of {"name", "what"}

  double earlier_s() const { return earlier_s_; }              // all earlier parts together
  uint64_t earlier_peak_B() const { return earlier_peak_B_; }  // the highest of them; 0: there are none

 private:
  void Set(const std::string& name, Json row);
  void Read();

  std::filesystem::path file_;
  std::vector<std::pair<std::string, Json>> rows_;
  int64_t part_ = 0;
  double earlier_s_ = 0;
  uint64_t earlier_peak_B_ = 0;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace ecld
