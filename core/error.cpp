#include "core/error.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

namespace ecld {
namespace {

// Levenshtein distance, one row at a time.
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t substitute = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitute});
    }
  }
  return row.back();
}

}  // namespace

std::vector<std::string> CloseMatches(std::string_view word, const std::vector<std::string>& candidates) {
  std::vector<std::pair<size_t, std::string>> near;
  for (const auto& candidate : candidates) {
    size_t distance = EditDistance(word, candidate);
    if (distance <= std::max<size_t>(2, word.size() / 3)) near.emplace_back(distance, candidate);
  }
  std::stable_sort(near.begin(), near.end(), [](auto& a, auto& b) { return a.first < b.first; });
  std::vector<std::string> names;
  for (size_t i = 0; i < near.size() && i < 3; ++i) names.push_back(near[i].second);
  return names;
}

std::string DidYouMean(std::string_view word, const std::vector<std::string>& candidates) {
  auto near = CloseMatches(word, candidates);
  if (!near.empty()) return fmt::format(" (did you mean {}?)", fmt::join(near, ", "));
  return fmt::format(" (known: {})", fmt::join(candidates, ", "));
}

}  // namespace ecld
