#pragma once
// A device profile: what one model variant costs on one device. A directory of profile.json (manifest) and flat CSV
// tables; this is its reader and writer. A scheduler links against this room and nothing else. It holds what was
// measured, not how to measure it (profiler/).

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "core/json.h"
#include "profile/format/table.h"

namespace ecld {

enum class TableStatus { kComplete, kPartial, kAbsent };
std::string_view Name(TableStatus status);

struct ProfileTable {
  TableStatus status;
  Table table;
};

// The check does not see that the moves of Json and map do not throw.
struct DeviceProfile {  // NOLINT(bugprone-exception-escape)
  // The sections of profile.json by name: what there must be in them is listed in manifest.cpp; null is "not known".
  // Further keys are kept.
  Json created_utc, tool, device, variant, provenance, fit, limits;

  std::map<std::string, ProfileTable, std::less<>> tables;  // an absent one has no entry

  // THROWS Error when the profile has no such table.
  const Table& At(std::string_view table) const;
  // As complete, unless it has no rows: then it stays absent. REQUIRES: none of its name.
  void Add(Table table);
};

// provenance.kinds: the meaning of each source letter.
Json SourceKinds();

// Checks, fits the times of phase (fit.h; what `fit` held is replaced), writes to a staging directory beside it, and
// puts that in place of directory by rename. THROWS Error.
void WriteProfile(const std::filesystem::path& directory, DeviceProfile profile);

// THROWS Error: another schema or major version, a missing key, a table whose bytes are not those the manifest was
// written with, or that does not parse, or that CheckProfile refuses.
DeviceProfile ReadProfile(const std::filesystem::path& directory);

}  // namespace ecld
