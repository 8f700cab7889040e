#include "serve/stop_strings.h"

#include <algorithm>
#include <utility>

namespace ecld {

std::string StopStrings::Add(std::string_view text) {
  if (found_) return {};
  pending_ += text;
  size_t end = pending_.size() - HeldBack(), completed = std::string::npos;
  for (const std::string& stop : stops_) {
    const size_t at = pending_.find(stop);
    if (at == std::string::npos || std::pair(at + stop.size(), at) >= std::pair(completed, end)) continue;
    completed = at + stop.size();
    end = at;
    found_ = true;
  }
  std::string wanted = pending_.substr(0, end);
  pending_.erase(0, end);
  return wanted;
}

std::string StopStrings::Finish() { return found_ ? std::string() : std::exchange(pending_, {}); }

// Bytes at the end of pending_ with which a stop string starts; the longest such end.
size_t StopStrings::HeldBack() const {
  size_t longest = 0;
  for (const std::string& stop : stops_)
    for (size_t size = std::min(stop.size() - 1, pending_.size()); size > longest; --size)
      if (pending_.ends_with(std::string_view(stop).substr(0, size))) longest = size;
  return longest;
}

}  // namespace ecld
