// Text as a task file, as tables, as articles, as a line of the per-sample log: refused with an Error, or read; a
// table's records then have all of its columns, articles are stretches of the text, and a line's sample is written as
// it was read.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "eval/tasks/documents.h"
#include "eval/tasks/sample.h"
#include "eval/tasks/task.h"
#include "fuzz/or_error.h"

namespace ecld {
namespace {

void ReadAll(std::string_view text) {
  OrError([&] { ReadTasks(text, "input.yaml"); });
  for (char separator : {',', '\t'})
    OrError([&] {
      for (const Document& record : ParseTable(text, separator, {"a", "b"}, "input"))
        if (record.fields.size() != 2) std::abort();
    });
  for (const Document& page : ParsePages(text))
    if (text.find(page.fields["page"].get<std::string>()) == std::string_view::npos) std::abort();
  OrError([&] {
    const Json json = ParseJson(text, "input");
    const Json written = ToJson(ParseSample(JsonView(json, "input")));
    if (ToJson(ParseSample(JsonView(written, "written"))).dump() != written.dump()) std::abort();
  });
}

}  // namespace
}  // namespace ecld

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ecld::ReadAll(std::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
