#pragma once
// Ends a text before the first of some strings in it, also where one arrives in several parts. The first is the one
// that is complete first, and of several the one that starts first. What may turn out to be the beginning of such a
// string is held back until it is known.

#include <string>
#include <string_view>
#include <vector>

namespace ecld {

class StopStrings {
 public:
  // REQUIRES: no string is empty.
  explicit StopStrings(std::vector<std::string> stops) : stops_(std::move(stops)) {}

  // The next part of the text that is sure to be wanted. Empty once found().
  std::string Add(std::string_view text);
  // What is still held back, when the text ends here.
  std::string Finish();
  bool found() const { return found_; }

 private:
  size_t HeldBack() const;

  std::vector<std::string> stops_;
  std::string pending_;
  bool found_ = false;
};

}  // namespace ecld
