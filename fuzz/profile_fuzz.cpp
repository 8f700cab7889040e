// The manifest and the tables of a device profile. The first byte says which, 0 the manifest; a table that parses must
// come out to bytes that parse to the same table.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/error.h"
#include "profile/format/manifest.h"
#include "profile/format/table.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  auto schemas = ecld::TableSchemas();
  size_t which = data[0] % (schemas.size() + 1);
  try {
    if (which == 0) {
      ecld::Json json = ecld::ParseJson(text, "profile.json");
      ecld::CheckManifest({json, "profile.json"});
    } else {
      ecld::Table table = ecld::ParseCsv(schemas[which - 1], text, "table.csv");
      if (!(ecld::ParseCsv(schemas[which - 1], ecld::FormatCsv(table), "again") == table)) std::abort();
    }
  } catch (const ecld::Error&) {
  }
  return 0;
}
