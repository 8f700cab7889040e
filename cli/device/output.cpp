#include "cli/device/output.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "core/files.h"

namespace ecld {

void PrintTable(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i)
      line += i == 0 ? fmt::format("{:<{}}", row[i], widths[i]) : fmt::format("  {:>{}}", row[i], widths[i]);
    line.erase(line.find_last_not_of(' ') + 1);
    fmt::print("{}\n", line);
  }
}

void AddJsonFlag(CLI::App& verb, std::string* file) {
  verb.add_option("--json", *file, "write the result as JSON to FILE; - is stdout")->type_name("FILE");
}

bool WriteJson(const std::string& file, const Json& result) {
  if (file.empty()) return false;
  // JSON is UTF-8, and what a model says need not be: broken bytes are replaced.
  const std::string text = result.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  if (file == "-") {
    fmt::print("{}", text);
    return true;
  }
  WriteFileAtomically(file, text);
  return false;
}

std::string FormatCount(uint64_t count) {
  if (count >= 1'000'000'000) return fmt::format("{:.2f} B", static_cast<double>(count) * 1e-9);
  if (count >= 1'000'000) return fmt::format("{:.1f} M", static_cast<double>(count) * 1e-6);
  return std::to_string(count);
}

}  // namespace ecld
