#pragma once
// Runs models over the windows of a text and sums per-token quantities window by window: the loop that perplexity
// and divergence share. Sums are taken in token order, whatever the threads did, so results repeat bit for bit.

#include <array>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/progress.h"
#include "eval/statistics.h"
#include "eval/windows.h"
#include "runtime/score.h"

namespace ecld {

// [quantity][window]
template <size_t quantities>
using PerTokenSums = std::array<std::vector<ClusterSum>, quantities>;

// of_token(logits, target) -> std::array<double, quantities>, called from several threads; logits[i] is the row of
// models[i]. label: of the progress shown; "": none. THROWS what VisitPositions throws.
template <size_t quantities, class OfToken>
PerTokenSums<quantities> SumOverWindows(const std::vector<ScoredModel>& models, std::span<const int32_t> ids,
                                        const std::vector<Window>& windows, const OfToken& of_token,
                                        const std::string& label = "eval") {
  PerTokenSums<quantities> sums;
  std::optional<Progress> progress;
  if (!label.empty()) progress.emplace(label, static_cast<int64_t>(windows.size()), "windows");
  for (size_t begin = 0; begin < windows.size();) {
    // As many windows at a time as the runtime batches.
    std::vector<ScoreWindow> group;
    int64_t rows = 0;
    for (size_t i = begin; i < windows.size() && (group.empty() || rows + windows[i].length <= kBatchRows); ++i) {
      group.push_back({ids.subspan(windows[i].begin, windows[i].length), windows[i].first_scored});
      rows += windows[i].length;
    }

    std::vector<std::vector<std::array<double, quantities>>> values;  // [window][scored position]
    for (const ScoreWindow& window : group) values.emplace_back(window.tokens.size() - window.first_scored);
    VisitPositions(models, group, [&](int64_t window, int64_t position, auto logits) {
      values[window][position - group[window].first_scored] = of_token(logits, group[window].tokens[position]);
    });

    for (const auto& of_window : values) {
      for (size_t q = 0; q < quantities; ++q) {
        ClusterSum& sum = sums[q].emplace_back();
        for (const auto& value : of_window) sum.sum += value[q];
        sum.count = static_cast<int64_t>(of_window.size());
      }
    }
    begin += group.size();
    if (progress) progress->Advance(static_cast<int64_t>(group.size()));
  }
  return sums;
}

}  // namespace ecld
