#pragma once
// A device profile: what one model variant costs on one device. A directory of profile.json (manifest) and flat CSV
// tables; this is its reader and writer. A scheduler links against this room and nothing else. It holds what was
// measured, not how to measure it (eval/profile_device.h).

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "core/json.h"
#include "profile/table.h"

namespace ecld {

enum class TableStatus { kComplete, kPartial, kAbsent };
std::string_view Name(TableStatus status);

struct ProfileTable {
  TableStatus status;
  Table table;
};

struct DeviceProfile {
  // Sections of profile.json besides schema, tables and the source letters. The keys that must be there, and their
  // types, are listed in profile.cpp; null is "not known".
  std::string created_utc;  // "2026-01-31T12:00:00Z"
  Json tool, device, variant, provenance, fit, limits;

  std::map<std::string, ProfileTable, std::less<>> tables;  // an absent one has no entry

  // THROWS Error when the profile has no such table.
  const Table& At(std::string_view table) const;
};

// The rules between tables and manifest (section by section in checks.cpp). THROWS Error on what cannot be right: the
// weights of the layers do not sum to the variant's, a kv_B that the layers contradict, a quality value outside its
// interval. Sets layers to partial when its times do not sum to phase's within 10 %. Warns on a prefill that takes
// less time for more tokens.
void CheckProfile(DeviceProfile& profile);

// Checks, writes to a staging directory, and puts it in place of directory by rename. THROWS Error.
void WriteProfile(const std::filesystem::path& directory, DeviceProfile profile);

// THROWS Error: another schema or major version, a missing key, a table whose bytes are not those the manifest was
// written with, or that does not parse, or that CheckProfile refuses.
DeviceProfile ReadProfile(const std::filesystem::path& directory);

}  // namespace ecld
