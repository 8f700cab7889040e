#pragma once
// Whether plain text seems to be written for programs: then a model that is to learn from prose gets braces and commas,
// which the one who named the file may not know.

#include <string_view>

namespace ecld {

// "one JSON value", "lines of JSON strings", "a table (CSV)", "a table (TSV)", "XML", "a web page (HTML)"; empty for
// what is none of these, which prose and the sources of programs are meant to be: a table has the same columns in each
// of at least five lines, and one with commas has no space behind them.
std::string_view StructureOf(std::string_view text);

}  // namespace ecld
