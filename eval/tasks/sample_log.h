#pragma once
// The per-sample log of one task on one model: JSON lines, a heading that says of what, then a line per item. It is the
// journal too: a run that was stopped goes on behind its last whole line; once complete the lines stand in order.

#include <filesystem>
#include <fstream>
#include <span>
#include <vector>

#include "core/document.h"
#include "core/json.h"
#include "eval/tasks/sample.h"

namespace ecld {

inline constexpr DocumentKind kSamplesDocument{"ecld.samples", "1.0.0"};

// A log as it lies on disk.
struct LoggedSamples {
  Json heading;
  std::vector<Sample> samples;  // in the order of the lines
  size_t whole_B = 0;           // of the lines that are whole: a kill may cut the last one
};
// THROWS Error: not there, malformed before its last line.
LoggedSamples ReadSampleLog(const std::filesystem::path& path);

class SampleLog {
 public:
  // path: empty for a log in memory only. heading: whatever makes two runs comparable sample by sample.
  // THROWS Error when the file is of something else, or malformed before its last line.
  SampleLog(const std::filesystem::path& path, const Json& heading);

  const std::vector<Sample>& samples() const { return samples_; }  // in the order added
  void Add(std::span<const Sample> samples);                       // and writes them. THROWS Error
  // Sorts by item and rewrites the file so. THROWS Error.
  void Finish();

 private:
  std::string Line(const Sample& sample) const { return ToJson(sample).dump() + "\n"; }
  // Reads what an earlier run left. Returns the bytes of its whole lines.
  size_t Resume();

  std::filesystem::path path_;
  std::string heading_;
  std::vector<Sample> samples_;
  std::ofstream file_;
};

}  // namespace ecld
