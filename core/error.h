#pragma once
// The one exception type for what a *user* can cause: a bad file, a bad option, a full disk.
// Its text reads "where: what was found, what would be right". Programming mistakes use assert instead.

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace ecld {

class Error : public std::runtime_error {
 public:
  // where: a file, a file with a line or a path inside it ("recipe.yaml:14: stages[2].group_size"), or a flag.
  Error(std::string_view where, std::string_view message)
      : std::runtime_error(where.empty() ? std::string(message) : fmt::format("{}: {}", where, message)) {}
};

template <class... Args>
[[noreturn]] void Fail(std::string_view where, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(where, fmt::format(format, std::forward<Args>(args)...));
}

// Up to three candidates within a small edit distance of word, best first: the "did you mean" of an error.
std::vector<std::string> CloseMatches(std::string_view word, const std::vector<std::string>& candidates);

// " (did you mean a, b?)", or " (known: a, b, c)" where nothing is close; the tail of an unknown-name error.
std::string DidYouMean(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace ecld
