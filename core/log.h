#pragma once
// Log lines for people, on stderr. Results never go here: they are data, on stdout or in files.

#include <fmt/format.h>

#include <string_view>

namespace ecld {

enum class LogLevel { kQuiet, kWarning, kInfo, kDebug };

// Process-wide threshold; set once by the command line before any work. Default kInfo.
void SetLogLevel(LogLevel level);
LogLevel GetLogLevel();

void LogLine(LogLevel level, std::string_view line);

template <class... Args>
void LogInfo(fmt::format_string<Args...> format, Args&&... args) {
  LogLine(LogLevel::kInfo, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void LogWarning(fmt::format_string<Args...> format, Args&&... args) {
  LogLine(LogLevel::kWarning, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void LogDebug(fmt::format_string<Args...> format, Args&&... args) {
  LogLine(LogLevel::kDebug, fmt::format(format, std::forward<Args>(args)...));
}

// A warning about what stands at where, once in a process: what a run makes of an input repeats what the input said.
void WarnOnce(std::string_view where, std::string_view note);

}  // namespace ecld
