#pragma once
// The regular expressions by which tokenizers cut a text into words, run by PCRE2. They were written for Oniguruma;
// where the two differ (\s) the pattern is translated. Immutable and thread-safe.

#include <functional>
#include <string>
#include <string_view>

namespace ecld {

class SplitRegex {
 public:
  // THROWS Error naming where for a pattern that does not compile.
  SplitRegex(const std::string& pattern, const std::string& where);
  ~SplitRegex();
  SplitRegex(const SplitRegex&) = delete;
  SplitRegex& operator=(const SplitRegex&) = delete;

  // Calls emit(piece, is_match) for all of text, in order: matches, and what lies between them. A byte that is not
  // valid UTF-8 is never matched: a run of such bytes is a piece between matches.
  // THROWS Error when a match takes more steps than PCRE2 allows.
  using Emit = std::function<void(std::string_view piece, bool is_match)>;
  void Split(std::string_view text, const Emit& emit) const;

 private:
  void SplitValid(std::string_view text, const Emit& emit) const;

  void* code_ = nullptr;  // pcre2_code
  std::string where_;
};

// \s and \S as Oniguruma means them (the White_Space property): PCRE2's own \s also takes U+180E.
std::string TranslateWhiteSpace(std::string_view pattern);

}  // namespace ecld
