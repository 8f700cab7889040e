#pragma once
// Regular expressions of task files, run by PCRE2 over UTF-8. Written as for Python's re (on text): \s, \w and \d are
// Unicode classes, "." is any character but a line feed; in a replacement a group is $1.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ecld {

class Regex {
 public:
  // THROWS Error naming where for a pattern that does not compile.
  Regex(const std::string& pattern, std::string where);

  bool Matches(std::string_view text) const;  // anywhere in it
  std::string Replace(std::string_view text, std::string_view with) const;
  // What re.findall gives, with the first group that is not empty where there are groups: a match per entry.
  std::vector<std::string> FindAll(std::string_view text) const;

 private:
  std::shared_ptr<void> code_;  // pcre2_code; immutable
  std::string where_;
};

}  // namespace ecld
