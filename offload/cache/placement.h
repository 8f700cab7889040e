#pragma once
// Which variants of a model a server of bounded storage keeps. A variant is worth the share of requests that its being
// kept makes hits; bytes that variants share are stored once (TrimCaching: Qu et al., arXiv 2405.03990, whose expected
// hit ratio this is for one server). Worth adds up, bytes do not: no greedy rule is within a constant of the best in
// general.

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "offload/cache/shared_bytes.h"

namespace ecld::offload {

struct PlacementProblem {
  const SharedBytes* bytes = nullptr;
  std::vector<double> worth;  // [variants], not below 0
  double storage_B = 0;
};

struct Placement {
  VariantSet kept = 0;
  double worth = 0;
};

double WorthOf(const PlacementProblem& problem, VariantSet kept);

// By worth alone, whatever fits; shared bytes count once.
Placement PopularFirst(const PlacementProblem& problem);
// By worth for a byte, each variant with all its bytes, as who knows nothing of sharing keeps them.
Placement GreedySeparate(const PlacementProblem& problem);
// By worth for a byte added, shared ones once: begun with nothing, with each variant, and with what the two above keep;
// the best of these, with variants exchanged while that helps. So it is never worth less than those.
Placement Greedy(const PlacementProblem& problem);
// The plain rule, begun with nothing: what the rest of Greedy is compared with.
Placement GreedyPlain(const PlacementProblem& problem);
// The best of all. REQUIRES: at most kMostExhaustive variants.
inline constexpr size_t kMostExhaustive = 20;
Placement Exhaustive(const PlacementProblem& problem);

// Variants in a storage that makes room by throwing out those which were asked for longest ago.
class RecentlyUsed {
 public:
  RecentlyUsed(const SharedBytes* bytes, double storage_B) : bytes_(bytes), storage_B_(storage_B) {}
  VariantSet held() const { return held_; }
  // It is asked for, and kept from now on, if it fits at all.
  void Use(size_t variant);

 private:
  const SharedBytes* bytes_;
  double storage_B_;
  VariantSet held_ = 0;
  std::vector<size_t> order_;  // longest ago first
};

}  // namespace ecld::offload
