#include "core/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>

#include "core/log.h"

namespace ecld {

std::string FormatDuration(double seconds) {
  if (seconds < 60) return fmt::format("{:.1f} s", seconds);
  const int64_t whole = std::llround(seconds);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole % 3600 / 60);
}

std::string FormatBytes(uint64_t bytes) {
  constexpr const char* kUnits[] = {"B", "kB", "MB", "GB", "TB", "PB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1000 && unit + 1 < std::size(kUnits)) {
    value /= 1000;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

Progress::Progress(std::string label, int64_t total, std::string unit, int64_t done)
    : label_(std::move(label)),
      unit_(std::move(unit)),
      total_(total),
      done_(done),
      first_(done),
      terminal_(::isatty(STDERR_FILENO) == 1),
      start_(std::chrono::steady_clock::now()),
      last_print_(start_) {}

Progress::~Progress() { Print(true); }

void Progress::Advance(int64_t units, std::string_view detail) {
  done_ += units;
  detail_ = detail;
  auto now = std::chrono::steady_clock::now();
  if (now - last_print_ < (terminal_ ? std::chrono::milliseconds(200) : std::chrono::milliseconds(10000))) return;
  last_print_ = now;
  Print(false);
}

void Progress::Print(bool final_line) {
  if (GetLogLevel() < LogLevel::kInfo) return;
  double elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  std::string line = fmt::format("{}: {}/{} {}", label_, done_, total_, unit_);
  if (final_line) {
    line += fmt::format(" in {}", FormatDuration(elapsed));
  } else if (done_ > first_) {
    double left = elapsed * static_cast<double>(total_ - done_) / static_cast<double>(done_ - first_);
    line += fmt::format(", {} left", FormatDuration(left));
  }
  if (!detail_.empty()) line += ", " + detail_;
  if (!terminal_) return LogInfo("{}", line);
  std::fprintf(stderr, "\r\033[K%s%s", line.c_str(), final_line ? "\n" : "");
  std::fflush(stderr);
}

}  // namespace ecld
