#include "core/ascii.h"

#include <algorithm>

namespace ecld {
namespace {

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

}  // namespace

std::string_view SkipBlank(std::string_view text) {
  return text.substr(std::min(text.find_first_not_of(kAsciiBlank), text.size()));
}

std::string AsciiLower(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), Lower);
  return lower;
}

bool StartsWithWord(std::string_view text, std::string_view word) {
  return std::ranges::equal(text.substr(0, word.size()), word, {}, Lower);
}

}  // namespace ecld
