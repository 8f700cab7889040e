#include "core/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <mutex>
#include <set>
#include <string>

namespace ecld {
namespace {

std::atomic<LogLevel> threshold{LogLevel::kInfo};

spdlog::logger& Logger() {
  static const auto logger = [] {
    auto made = spdlog::stderr_color_mt("ecld");
    made->set_pattern("%H:%M:%S %^%l%$ %v");
    made->set_level(spdlog::level::trace);
    return made;
  }();
  return *logger;
}

}  // namespace

void SetLogLevel(LogLevel level) { threshold = level; }
LogLevel GetLogLevel() { return threshold; }

void LogLine(LogLevel level, std::string_view line) {
  if (level > threshold.load()) return;
  switch (level) {
    case LogLevel::kWarning:
      Logger().warn("{}", line);
      break;
    case LogLevel::kDebug:
      Logger().debug("{}", line);
      break;
    default:
      Logger().info("{}", line);
  }
}

void WarnOnce(std::string_view where, std::string_view note) {
  static std::mutex mutex;
  static std::set<std::string, std::less<>> told;
  const std::scoped_lock lock(mutex);
  if (told.emplace(note).second) LogWarning("{}: {}", where, note);
}

}  // namespace ecld
