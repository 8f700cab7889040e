#pragma once
// How a JSON document of ours begins, by which its readers know it: {"schema": "ecld.eval", "schema_version": "1.1.0",
// ...}. A higher minor version only has more, which a reader passes over; another major one is refused.

#include <initializer_list>
#include <string_view>

#include "core/json.h"

namespace ecld {

struct DocumentKind {
  std::string_view schema, version;
};

// Rooms that do not know each other write and read these. The report of a compression.
inline constexpr DocumentKind kRunDocument{"ecld.report", "1.0.0"};
// Policies of offloading side by side.
inline constexpr DocumentKind kOffloadDocument{"ecld.offload", "1.1.0"};

// The beginning of a document, and what follows. REQUIRES: content is an object.
Json NewDocument(const DocumentKind& kind, const Json& content = Json::object());

// Whether a value says that it is one, of whatever version.
bool IsDocument(const Json& value, const DocumentKind& kind);

// Which of the kinds it is. THROWS Error: another schema or none; a major version other than the kind's.
const DocumentKind& KindOf(const JsonView& document, std::initializer_list<const DocumentKind*> kinds);
void RequireKind(const JsonView& document, const DocumentKind& kind);

}  // namespace ecld
