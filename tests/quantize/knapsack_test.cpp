#include "quantize/knapsack.h"

#include <gtest/gtest.h>

#include <limits>

#include "core/random.h"

namespace ecld {
namespace {

struct Total {
  uint64_t bytes = 0;
  double cost = 0;
};

Total TotalOf(const std::vector<KnapsackClass>& classes, const std::vector<size_t>& chosen) {
  Total total;
  for (size_t i = 0; i < classes.size(); ++i) {
    total.bytes += classes[i].at(chosen.at(i)).bytes;
    total.cost += classes[i][chosen[i]].cost;
  }
  return total;
}

double LeastCost(const std::vector<KnapsackClass>& classes, uint64_t capacity, size_t first = 0) {
  if (first == classes.size()) return 0;
  double least = std::numeric_limits<double>::infinity();
  for (const KnapsackChoice& choice : classes[first])
    if (choice.bytes <= capacity)
      least = std::min(least, choice.cost + LeastCost(classes, capacity - choice.bytes, first + 1));
  return least;
}

// Costs that fall with bytes as quantization errors do, or anything at all, and ties.
std::vector<KnapsackClass> RandomClasses(Random& random, bool falling) {
  std::vector<KnapsackClass> classes(1 + random.Below(6));
  for (KnapsackClass& choices : classes) {
    const double importance = random.Uniform();
    for (uint64_t bits = 1, count = 1 + random.Below(4); bits <= count; ++bits) {
      const uint64_t bytes = falling ? bits * (8 + random.Below(5)) : random.Below(20);
      choices.push_back({bytes, falling ? importance / static_cast<double>(uint64_t{1} << (2 * bits))
                                        : static_cast<double>(random.Below(7)) - 2});
    }
  }
  return classes;
}

TEST(Knapsack, IsAsGoodAsTryingEverything) {
  Random random(1);
  for (int i = 0; i < 3000; ++i) {
    const auto classes = RandomClasses(random, i % 2 == 0);
    uint64_t least = 0, most = 0;
    for (const KnapsackClass& choices : classes) {
      uint64_t low = choices[0].bytes, high = low;
      for (const KnapsackChoice& choice : choices) {
        low = std::min(low, choice.bytes);
        high = std::max(high, choice.bytes);
      }
      least += low;
      most += high;
    }
    const uint64_t capacity = least + random.Below(most - least + 2);
    const Total found = TotalOf(classes, SolveKnapsack(classes, capacity));
    EXPECT_LE(found.bytes, capacity) << "instance " << i;
    EXPECT_NEAR(found.cost, LeastCost(classes, capacity), 1e-12) << "instance " << i;
  }
}

// By dynamic programming over every capacity, which needs no bound and no frontier.
double LeastCostByTable(const std::vector<KnapsackClass>& classes, uint64_t capacity) {
  std::vector<double> least(capacity + 1, 0);
  for (const KnapsackClass& choices : classes) {
    std::vector<double> next(capacity + 1, std::numeric_limits<double>::infinity());
    for (uint64_t room = 0; room <= capacity; ++room)
      for (const KnapsackChoice& choice : choices)
        if (choice.bytes <= room) next[room] = std::min(next[room], least[room - choice.bytes] + choice.cost);
    least = std::move(next);
  }
  return least[capacity];
}

TEST(Knapsack, SolvesAModelSizedProblem) {
  Random random(2);
  std::vector<KnapsackClass> classes(130);
  uint64_t least = 0;
  for (KnapsackClass& choices : classes) {
    const uint64_t weights = 20 + random.Below(60);
    const double importance = random.Uniform() * static_cast<double>(weights);
    for (uint64_t bits : {2, 3, 4, 8})
      choices.push_back({weights * bits + weights / 4,
                         importance * (0.9 + 0.2 * random.Uniform()) / static_cast<double>(uint64_t{1} << (2 * bits))});
    least += choices[0].bytes;
  }
  for (double share : {1.0, 1.1, 1.37, 1.9, 3.0}) {
    const auto capacity = static_cast<uint64_t>(share * static_cast<double>(least));
    const Total found = TotalOf(classes, SolveKnapsack(classes, capacity));
    EXPECT_LE(found.bytes, capacity);
    EXPECT_NEAR(found.cost, LeastCostByTable(classes, capacity), 1e-9);
  }
}

TEST(Knapsack, OfEqualCostsTakesTheFewestBytes) {
  const std::vector<KnapsackClass> classes = {{{9, 1}, {4, 1}, {2, 5}}, {{3, 0}, {8, 0}}};
  EXPECT_EQ(SolveKnapsack(classes, 100), (std::vector<size_t>{1, 0}));
}

}  // namespace
}  // namespace ecld
