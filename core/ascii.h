#pragma once
// Blanks and letters of ASCII, in texts of any encoding that holds it. Those of all scripts: unicode.h.

#include <string>
#include <string_view>

namespace ecld {

inline constexpr std::string_view kAsciiBlank = " \t\n\v\f\r";

// From the first character that is not blank on.
std::string_view SkipBlank(std::string_view text);

// With A to Z as a to z.
std::string AsciiLower(std::string_view text);

// Whether text begins with this word, in letters of either size. REQUIRES: word has no capitals.
bool StartsWithWord(std::string_view text, std::string_view word);

}  // namespace ecld
