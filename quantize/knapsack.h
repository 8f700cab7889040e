#pragma once
// The multiple-choice knapsack problem, solved exactly: one choice of every class, the least total cost within a
// capacity. Dynamic programming over Pareto frontiers of (bytes, cost), cut by the bound of the linear relaxation
// (Sinha and Zoltners 1979; Kellerer, Pferschy and Pisinger 2004, chapter 11). Costs are any numbers; they need not
// fall with bytes.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ecld {

struct KnapsackChoice {
  uint64_t bytes = 0;
  double cost = 0;
};
using KnapsackClass = std::vector<KnapsackChoice>;

// The index of the choice taken of each class. Equal costs: the fewest bytes.
// REQUIRES: no class is empty, and the smallest choices together are within capacity.
std::vector<size_t> SolveKnapsack(const std::vector<KnapsackClass>& classes, uint64_t capacity);

}  // namespace ecld
