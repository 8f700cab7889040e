#pragma once
// Progress of one long step on stderr: done, total, rate, time left. On a terminal one line redraws itself; in a
// log file a line appears at most every 10 seconds. Silent below LogLevel::kInfo.

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace ecld {

// "1 h 02 min", "3 min 20 s", "4.2 s"; for people.
std::string FormatDuration(double seconds);
// "15.3 GB", "98.1 MB" (powers of 1000, as disks and papers count); for people.
std::string FormatBytes(uint64_t bytes);

class Progress {
 public:
  // label: what is being done ("quantize.round"); unit: what is counted ("blocks").
  // done: units already complete, of a resumed run; they do not count towards the rate.
  Progress(std::string label, int64_t total, std::string unit, int64_t done = 0);
  ~Progress();  // prints the final line with the elapsed time
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // detail: an optional short note on the current unit ("layer 3, held-out error 0.012").
  void Advance(int64_t units = 1, std::string_view detail = "");

 private:
  void Print(bool final_line);

  std::string label_, unit_, detail_;
  int64_t total_, done_, first_;
  bool terminal_;
  std::chrono::steady_clock::time_point start_, last_print_;
};

}  // namespace ecld
