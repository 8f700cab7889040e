#include "offload/split/published_split.h"

#include <cassert>
#include <cmath>

namespace ecld::offload {
namespace {

constexpr double kQuality = 10.5, kFalls = 0.9995, kRises = 1.0005;

}  // namespace

PublishedSplit::PublishedSplit(const EstimateGrid& ppl_ratio, const PublishedStart& start, bool bug)
    : start_(start), bug_(bug) {
  for (int up = 0; up < kMoves; ++up)
    for (int down = 0; down < kMoves; ++down)
      for (int split = 1; split <= kPublishedSplits; ++split) {
        const double noise = start.noise * std::pow(kFalls, up) * std::pow(kRises, down);
        const Estimate ratio =
            split == kPublishedSplits ? Estimate{.value = 1, .in_range = true} : ppl_ratio.At(split, noise);
        assert(ratio.in_range);
        ratio_.push_back(ratio.value);
      }
}

int PublishedSplit::Number(const Place& place) const {
  return ((place.up * kMoves + place.down) * kPublishedSplits + place.split - 1) * 2 + (place.stayed ? 1 : 0);
}

PublishedSplit::Place PublishedSplit::Of(int state) const {
  const int moves = state / 2 / kPublishedSplits;
  return {.up = moves / kMoves,
          .down = moves % kMoves,
          .split = state / 2 % kPublishedSplits + 1,
          .stayed = state % 2 == 1};
}

double PublishedSplit::Ratio(const Place& place) const { return ratio_[static_cast<size_t>(Number(place) / 2)]; }

bool PublishedSplit::Reachable(int step, int state) const {
  const Place place = Of(state);
  if (place.stayed) return place.up + place.down == 0 && place.split == start_.split;
  return place.up + place.down <= step;
}

Outcome PublishedSplit::At(int, int state, int choice) const {
  Place place = Of(state);
  const int split = choice + 1;
  if (split > place.split) ++place.up;
  if (split < place.split) ++place.down;
  place.stayed = place.stayed && split == place.split;
  place.split = split;
  const double at_start = Ratio(Of(first())), now = bug_ && place.stayed ? 0 : Ratio(place);
  const double reward =
      kQuality * (at_start - now) / at_start + static_cast<double>(kPublishedSplits - split) / kPublishedSplits;
  return {.reward = reward, .next = {{Number(place), 1.0}}};
}

}  // namespace ecld::offload
