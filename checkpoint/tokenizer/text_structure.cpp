#include "checkpoint/tokenizer/text_structure.h"

#include <cctype>
#include <cstdint>

#include "core/ascii.h"
#include "core/json_lines.h"

namespace ecld {
namespace {

bool IsJsonStrings(std::string_view text) {
  const auto lines = Lines(text);
  int64_t strings = 0;
  for (const std::string_view line : lines) {
    if (SkipBlank(line).empty()) continue;
    if (!SkipBlank(line).starts_with('"') || !Json::accept(line)) return false;
    ++strings;
  }
  return strings >= 2;
}

// Whether the text has the same number of separators, one or more, in each of its rows, of which it has at least five.
// In quotes neither separators nor line ends count.
bool IsTable(std::string_view text, char separator) {
  constexpr int64_t kLeastRows = 5;
  int64_t rows = 0, columns = 0, separators = 0;
  bool quoted = false, field_starts = true, row_is_empty = true;
  const auto end_row = [&] {
    if (row_is_empty) return true;
    if (rows++ == 0) columns = separators;
    const bool same = separators == columns && columns > 0;
    separators = 0;
    row_is_empty = true;
    return same;
  };
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      quoted = c != '"' || text.substr(i + 1).starts_with('"');
      if (c == '"' && quoted) ++i;  // two quotes are one
    } else if (c == '"' && field_starts) {
      quoted = true;
      field_starts = row_is_empty = false;
    } else if (c == '\n') {
      if (!end_row()) return false;
      field_starts = true;
    } else if (c == separator) {
      // A comma of prose has a space behind it, a tab of a program's source none before it.
      const bool at_start = i == 0 || text[i - 1] == '\n';
      if (separator == ',' ? i + 1 < text.size() && text[i + 1] == ' ' : at_start) return false;
      ++separators;
      field_starts = true;
      row_is_empty = false;
    } else if (c != '\r') {
      field_starts = row_is_empty = false;
    }
  }
  return !quoted && end_row() && rows >= kLeastRows;
}

// What comes behind comments, which Markdown begins with too.
bool IsMarkup(std::string_view text) {
  constexpr std::string_view kOpen = "<!--", kClose = "-->";
  if (!text.starts_with(kOpen)) return false;
  while (text.starts_with(kOpen)) {
    const size_t end = text.find(kClose);
    if (end == std::string_view::npos) return false;
    text = SkipBlank(text.substr(end + kClose.size()));
  }
  return text.size() > 1 && text[0] == '<' && (std::isalpha(static_cast<unsigned char>(text[1])) || text[1] == '!');
}

}  // namespace

std::string_view StructureOf(std::string_view text) {
  const std::string_view begin = SkipBlank(text);
  if (StartsWithWord(begin, "<!doctype html") || StartsWithWord(begin, "<html>") || StartsWithWord(begin, "<html "))
    return "a web page (HTML)";
  if (begin.starts_with("<?xml") || begin.starts_with("<!DOCTYPE ")) return "XML";
  if (IsMarkup(begin)) return "XML or a web page (HTML)";
  if ((begin.starts_with('{') || begin.starts_with('[')) && Json::accept(text)) return "one JSON value";
  if (begin.starts_with('"') && IsJsonStrings(text)) return "lines of JSON strings";
  if (IsTable(text, '\t')) return "a table (TSV)";
  if (IsTable(text, ',')) return "a table (CSV)";
  return {};
}

}  // namespace ecld
