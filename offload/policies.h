#pragma once
// The policies, in one table: what decides which request runs where. Each is a pure function (decide.h) over expected
// delays that it reckons with RemoteDelay; none knows what will be.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "offload/decide.h"
#include "offload/observation.h"

namespace ecld::offload {

struct Policy {
  std::string_view name, summary;
  DecideFunction decide;
  // Asks for the uncertainty of the device's own answer: the device begins with it before this is asked, and what it
  // ran is not had back (a cascade).
  bool probes = false;
  std::optional<DecisionShape> shape = {};  // the only one that it can decide on; none: any
};

std::span<const Policy> Policies();
// Also "learned:DIR" (learned_policy.h). THROWS Error with close matches; as ReadLearnedPolicy does.
inline constexpr std::string_view kLearned = "learned:";
Policy FindPolicy(std::string_view name, std::string_view where);

// Who goes where, and what it costs: the weighted sum of expected delays, each weighing 1 + uncertainty * its own
// uncertainty (0 where that is not known).
struct Assignment {
  std::vector<int> place;  // [pending]
  double cost_s = 0;
  int64_t delays = 0;  // that were reckoned
};
double CostOf(std::span<const Pending> pending, const State& state, std::span<const int> place);

// Greedy offloading by uncertainty after Kim, Lyu, Lee and Yang (arXiv 2602.07958; the paper's body was not at hand:
// weights and delays are ours). All are local; then, round by round, the pair of a request and a server with the
// largest weighted gap goes there, as long as that gap is above 0. The gap counts what every request that is there
// already loses by the newcomer. O(N^3 M^2) delays at most; gaps of servers that nobody joined stand, so that it is
// O(N^2 M + N^3). Ties go to the lower request number, whatever the order.
Assignment Goa(std::span<const Pending> pending, const State& state);

// The least cost of all assignments: (M + 1)^N of them. THROWS Error above kMostAssignments.
inline constexpr int64_t kMostAssignments = 1 << 20;
Assignment Exhaustive(std::span<const Pending> pending, const State& state);

}  // namespace ecld::offload
