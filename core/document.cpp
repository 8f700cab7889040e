#include "core/document.h"

#include <string>

#include "core/error.h"

namespace ecld {

Json NewDocument(const DocumentKind& kind, const Json& content) {
  Json document = {{"schema", kind.schema}, {"schema_version", kind.version}};
  document.update(content);
  return document;
}

bool IsDocument(const Json& value, const DocumentKind& kind) {
  return value.is_object() && value.contains("schema") && value["schema"] == kind.schema;
}

const DocumentKind& KindOf(const JsonView& document, std::initializer_list<const DocumentKind*> kinds) {
  const JsonView schema = document.At("schema");
  const std::string found = schema.String();
  std::string expected;
  for (const DocumentKind* kind : kinds) {
    if (found != kind->schema) {
      expected += fmt::format("{}\"{}\"", expected.empty() ? "" : " or ", kind->schema);
      continue;
    }
    const JsonView version = document.At("schema_version");
    const std::string_view major = kind->version.substr(0, kind->version.find('.') + 1);
    if (!version.String().starts_with(major))
      Fail(version.Where(), "version \"{}\" is not known here; {}x is", version.String(), major);
    return *kind;
  }
  Fail(schema.Where(), "expected {}, found \"{}\"", expected, found);
}

void RequireKind(const JsonView& document, const DocumentKind& kind) { KindOf(document, {&kind}); }

}  // namespace ecld
