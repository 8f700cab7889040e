#pragma once
// How this room asks a scenario for what it needs. A number that must be there, or must be above 0, says so with file,
// line and path.

#include <optional>
#include <string>

#include "core/error.h"
#include "core/options.h"

namespace ecld::offload {

// Above 0 stands for this and more.
inline constexpr double kLeast = 1e-9;

inline void Need(Options& options, const std::string& key) {
  if (!options.Has(key)) Fail(options.Where(), "\"{}\" is missing", key);
}

// THROWS Error: it is not there, or not from low to high.
inline double Needed(Options& options, const std::string& key, double low, double high) {
  Need(options, key);
  return options.Number(key, 0, low, high);
}

inline std::string NeededText(Options& options, const std::string& key) {
  Need(options, key);
  std::string text = options.String(key, "");
  if (text.empty()) Fail(options.Where(key), "is empty");
  return text;
}

inline std::optional<double> Optional(Options& options, const std::string& key, double low, double high) {
  if (!options.Has(key)) return std::nullopt;
  return options.Number(key, 0, low, high);
}

inline constexpr int64_t kScenarioVersion = 1;
inline void RequireScenarioVersion(Options& options) {
  Need(options, "version");
  const int64_t version = options.Int("version", 0, 1, INT64_MAX);
  if (version > kScenarioVersion)
    Fail(options.Where("version"), "version {} is newer than this program reads, which is up to {}", version,
         kScenarioVersion);
}

inline void ReadReplications(Options& options, uint64_t* seed, int64_t* replications) {
  *seed = static_cast<uint64_t>(options.Int("seed", 1, 0, INT64_MAX));
  *replications = options.Int("replications", 20, 1, 10'000, "independent runs, for the intervals");
}

// The row of a table whose name is under "kind". Table: rows with a name.
template <class Table>
const auto& KindIn(const Table& table, Options& options) {
  Need(options, "kind");
  std::vector<std::string> names;
  for (const auto& row : table) names.emplace_back(row.name);
  const std::string kind = options.Choice("kind", "", names);
  for (const auto& row : table)
    if (row.name == kind) return row;
  Fail(options.Where("kind"), "has no row of \"{}\"", kind);
}

// What the row of a table reads from a part of a scenario that must be there; the row's name into kind.
template <class Table>
auto ReadKind(Options& options, const char* part, const Table& table, std::string* kind) {
  Need(options, part);
  Options own = options.Map(part);
  const auto& row = KindIn(table, own);
  *kind = row.name;
  auto load = row.read(own);
  own.Finish();
  return load;
}

}  // namespace ecld::offload
