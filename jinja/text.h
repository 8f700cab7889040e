#pragma once
// Operations on text that Python's strings have; characters are Unicode ones, in UTF-8.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ecld::jinja {

// characters: which to strip; nullptr for white space.
std::string Strip(std::string_view text, const std::string* characters, bool left, bool right);
// At most limit cuts, all when limit < 0. REQUIRES a separator that is not empty.
std::vector<std::string> SplitAt(std::string_view text, std::string_view separator, int64_t limit, bool from_right);
std::vector<std::string> SplitAtSpace(std::string_view text, int64_t limit, bool from_right = false);
// At every line end that Python's splitlines knows.
std::vector<std::string> SplitLines(std::string_view text, bool keep_ends);
// At most limit replacements, all when limit < 0; an empty pattern stands between all characters.
std::string Replaced(std::string_view text, std::string_view pattern, std::string_view content, int64_t limit);
std::string Upper(std::string_view text);
std::string Lower(std::string_view text);
std::string Title(std::string_view text);
std::string Capitalized(std::string_view text);
std::string SwapCase(std::string_view text);
std::string CaseFolded(std::string_view text);
// &, <, >, " and ' as HTML writes them, as markupsafe does.
std::string Escaped(std::string_view text);
// A character as Python's repr() escapes it: \xe9, \u4e2d, \U0001f600.
std::string CodeEscape(uint32_t code);
// repr() of a Python float.
std::string FloatText(double value);

bool IsSpace(uint32_t code);
bool IsPrintable(uint32_t code);
// isalpha, isupper, ... of Python; false for one that does not exist. known: whether it does.
bool HasProperty(std::string_view text, std::string_view name, bool* known);

}  // namespace ecld::jinja
