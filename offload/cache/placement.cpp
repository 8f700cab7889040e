#include "offload/cache/placement.h"

#include <algorithm>

namespace ecld::offload {
namespace {

bool Keeps(VariantSet kept, size_t variant) { return (kept & SetOf(variant)) != 0; }

Placement Made(const PlacementProblem& problem, VariantSet kept) {
  return {.kept = kept, .worth = WorthOf(problem, kept)};
}

// Adds variants of any worth while one fits: each time that of the best rank. used_B(kept, variant): what all take with
// it.
template <class Rank, class Used>
VariantSet Fill(const PlacementProblem& problem, VariantSet kept, const Rank& rank, const Used& used_B,
                VariantSet never = 0) {
  for (;;) {
    std::optional<size_t> best;
    double most = 0;
    for (size_t v = 0; v < problem.worth.size(); ++v) {
      if (problem.worth[v] <= 0 || Keeps(kept | never, v) || used_B(kept, v) > problem.storage_B) continue;
      if (const double ranked = rank(kept, v); !best || ranked > most) {
        best = v;
        most = ranked;
      }
    }
    if (!best) return kept;
    kept |= SetOf(*best);
  }
}

VariantSet FillByByteAdded(const PlacementProblem& problem, VariantSet kept, VariantSet never = 0) {
  const SharedBytes& bytes = *problem.bytes;
  const auto rank = [&](VariantSet with, size_t v) { return problem.worth[v] / std::max(1.0, bytes.Lacking(v, with)); };
  const auto used_B = [&](VariantSet with, size_t v) { return bytes.Of(with | SetOf(v)); };
  return Fill(problem, kept, rank, used_B, never);
}

// One variant goes for whatever then fits, and another one may be tried first in its place, while that is worth more.
VariantSet Exchange(const PlacementProblem& problem, VariantSet kept) {
  for (bool better = true; better;) {
    better = false;
    double most = WorthOf(problem, kept);
    const VariantSet before = kept;
    const auto consider = [&](VariantSet other) {
      const double worth = WorthOf(problem, other);
      if (worth <= most + 1e-12) return;
      kept = other;
      most = worth;
      better = true;
    };
    for (size_t out = 0; out < problem.worth.size(); ++out) {
      if (!Keeps(before, out)) continue;
      const VariantSet without = before & ~SetOf(out);
      consider(FillByByteAdded(problem, without, SetOf(out)));
      for (size_t in = 0; in < problem.worth.size(); ++in)
        if (!Keeps(before, in) && problem.bytes->Of(without | SetOf(in)) <= problem.storage_B)
          consider(FillByByteAdded(problem, without | SetOf(in)));
    }
  }
  return kept;
}

// All sets, but for those that cannot be better than the best found.
void TryFrom(const PlacementProblem& problem, size_t variant, const Placement& so_far, double rest, Placement* best) {
  if (so_far.worth > best->worth + 1e-15) *best = so_far;
  if (variant == problem.worth.size() || so_far.worth + rest <= best->worth) return;
  const VariantSet with = so_far.kept | SetOf(variant);
  rest -= problem.worth[variant];
  if (problem.bytes->Of(with) <= problem.storage_B)
    TryFrom(problem, variant + 1, {.kept = with, .worth = so_far.worth + problem.worth[variant]}, rest, best);
  TryFrom(problem, variant + 1, so_far, rest, best);
}

}  // namespace

double WorthOf(const PlacementProblem& problem, VariantSet kept) {
  double worth = 0;
  for (size_t v = 0; v < problem.worth.size(); ++v)
    if (Keeps(kept, v)) worth += problem.worth[v];
  return worth;
}

Placement PopularFirst(const PlacementProblem& problem) {
  return Made(problem, Fill(
                           problem, 0, [&](VariantSet, size_t v) { return problem.worth[v]; },
                           [&](VariantSet kept, size_t v) { return problem.bytes->Of(kept | SetOf(v)); }));
}

Placement GreedySeparate(const PlacementProblem& problem) {
  const auto own_B = [&](size_t v) { return problem.bytes->Of(SetOf(v)); };
  return Made(problem, Fill(
                           problem, 0, [&](VariantSet, size_t v) { return problem.worth[v] / std::max(1.0, own_B(v)); },
                           [&](VariantSet kept, size_t v) {
                             double bytes = own_B(v);
                             for (size_t other = 0; other < problem.worth.size(); ++other)
                               if (Keeps(kept, other)) bytes += own_B(other);
                             return bytes;
                           }));
}

Placement GreedyPlain(const PlacementProblem& problem) { return Made(problem, FillByByteAdded(problem, 0)); }

Placement Greedy(const PlacementProblem& problem) {
  std::vector<VariantSet> begun = {0, PopularFirst(problem).kept, GreedySeparate(problem).kept};
  for (size_t v = 0; v < problem.worth.size(); ++v)
    if (problem.bytes->Of(SetOf(v)) <= problem.storage_B) begun.push_back(SetOf(v));
  Placement best;
  for (const VariantSet kept : begun)
    if (const Placement made = Made(problem, FillByByteAdded(problem, kept)); made.worth > best.worth) best = made;
  return Made(problem, Exchange(problem, best.kept));
}

Placement Exhaustive(const PlacementProblem& problem) {
  Placement best;
  double all = 0;
  for (const double worth : problem.worth) all += worth;
  TryFrom(problem, 0, {}, all, &best);
  return best;
}

void RecentlyUsed::Use(size_t variant) {
  if (bytes_->Of(SetOf(variant)) > storage_B_) return;
  std::erase(order_, variant);
  order_.push_back(variant);
  held_ |= SetOf(variant);
  while (bytes_->Of(held_) > storage_B_) {
    held_ &= ~SetOf(order_.front());
    order_.erase(order_.begin());
  }
}

}  // namespace ecld::offload
