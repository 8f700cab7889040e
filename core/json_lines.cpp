#include "core/json_lines.h"

#include <algorithm>

#include "core/ascii.h"
#include "core/error.h"

namespace ecld {
namespace {

// Cuts the first line off the text.
std::string_view NextLine(std::string_view* text) {
  const size_t end = std::min(text->find('\n'), text->size());
  std::string_view line = text->substr(0, end);
  if (line.ends_with('\r')) line.remove_suffix(1);
  text->remove_prefix(std::min(end + 1, text->size()));
  return line;
}

}  // namespace

std::vector<std::string_view> Lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) lines.push_back(NextLine(&text));
  return lines;
}

void ReadJsonLines(std::string_view text, const std::string& where, const JsonRecordVisitor& visit) {
  for (int64_t number = 1; !text.empty(); ++number) {
    const std::string_view line = NextLine(&text);
    if (SkipBlank(line).empty()) continue;
    const std::string place = fmt::format("{}:{}", where, number);
    visit(ParseJson(line, place), number, place);
  }
}

void ReadJsonArray(std::string_view text, const std::string& where, const JsonRecordVisitor& visit) {
  Json json = ParseJson(text, where);
  if (!json.is_array()) Fail(where, "found {}, expected an array of objects", json.type_name());
  for (size_t i = 0; i < json.size(); ++i)
    visit(std::move(json[i]), static_cast<int64_t>(i) + 1, fmt::format("{}[{}]", where, i + 1));
}

bool IsJsonArray(std::string_view text) { return SkipBlank(text).starts_with('['); }

bool HoldsJsonRecords(std::string_view text) {
  text = SkipBlank(text);
  if (text.starts_with('[')) return SkipBlank(text.substr(1)).starts_with('{') && Json::accept(text);
  return text.starts_with('{') && Json::accept(NextLine(&text));
}

}  // namespace ecld
