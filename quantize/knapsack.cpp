#include "quantize/knapsack.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>

namespace ecld {
namespace {

struct Item {
  uint64_t bytes;
  double cost;
  size_t choice;
};

// Falling cost for rising bytes; nothing that another choice beats in both.
std::vector<Item> Undominated(const KnapsackClass& choices) {
  std::vector<Item> items, kept;
  for (size_t i = 0; i < choices.size(); ++i) items.push_back({choices[i].bytes, choices[i].cost, i});
  std::stable_sort(items.begin(), items.end(), [](const Item& a, const Item& b) {
    return a.bytes != b.bytes ? a.bytes < b.bytes : a.cost < b.cost;
  });
  for (const Item& item : items)
    if (kept.empty() || item.cost < kept.back().cost) kept.push_back(item);
  return kept;
}

// A step along the lower convex hull of a class: more bytes, less cost.
struct Step {
  size_t of;  // the class
  double bytes, saved;
  double Rate() const { return saved / bytes; }
};

void AddHullSteps(const std::vector<Item>& items, size_t of, std::vector<Step>* steps) {
  std::vector<Item> hull;
  for (const Item& item : items) {
    auto rate = [](const Item& a, const Item& b) { return (a.cost - b.cost) / static_cast<double>(b.bytes - a.bytes); };
    while (hull.size() > 1 && rate(hull[hull.size() - 2], hull.back()) <= rate(hull.back(), item)) hull.pop_back();
    hull.push_back(item);
  }
  for (size_t i = 1; i < hull.size(); ++i)
    steps->push_back({of, static_cast<double>(hull[i].bytes - hull[i - 1].bytes), hull[i - 1].cost - hull[i].cost});
}

// The least cost that the classes from `first` on can have in a capacity, when choices may be mixed.
class Relaxation {
 public:
  Relaxation(const std::vector<std::vector<Item>>& classes, const std::vector<Step>& steps, size_t first) {
    for (size_t i = first; i < classes.size(); ++i) {
      least_bytes_ += classes[i][0].bytes;
      base_cost_ += classes[i][0].cost;
    }
    bytes_.push_back(0);
    saved_.push_back(0);
    for (const Step& step : steps) {
      if (step.of < first) continue;
      bytes_.push_back(bytes_.back() + step.bytes);
      saved_.push_back(saved_.back() + step.saved);
    }
  }

  uint64_t least_bytes() const { return least_bytes_; }

  // REQUIRES: capacity >= least_bytes().
  double Cost(uint64_t capacity) const {
    const auto room = static_cast<double>(capacity - least_bytes_);
    const size_t next = static_cast<size_t>(std::upper_bound(bytes_.begin(), bytes_.end(), room) - bytes_.begin());
    double saved = saved_[next - 1];
    if (next < bytes_.size())
      saved += (saved_[next] - saved) * (room - bytes_[next - 1]) / (bytes_[next] - bytes_[next - 1]);
    return base_cost_ - saved;
  }

 private:
  uint64_t least_bytes_ = 0;
  double base_cost_ = 0;
  std::vector<double> bytes_, saved_;  // sums over the steps, best rate first
};

// Some solution: class by class the choice that looks best with the relaxation of the rest.
double GreedyCost(const std::vector<std::vector<Item>>& classes, const std::vector<Relaxation>& rest,
                  uint64_t capacity) {
  uint64_t bytes = 0;
  double cost = 0;
  for (size_t i = 0; i < classes.size(); ++i) {
    const Item* best = nullptr;
    double best_cost = std::numeric_limits<double>::infinity();
    for (const Item& item : classes[i]) {
      const uint64_t used = bytes + item.bytes;
      if (used + rest[i + 1].least_bytes() > capacity) break;
      const double total = item.cost + rest[i + 1].Cost(capacity - used);
      if (total < best_cost) {
        best_cost = total;
        best = &item;
      }
    }
    bytes += best->bytes;
    cost += best->cost;
  }
  return cost;
}

struct State {
  uint64_t bytes;
  double cost;
  size_t before;  // the state of the class before that it goes on from
  size_t choice;
};

void KeepFrontier(std::vector<State>* states) {
  std::stable_sort(states->begin(), states->end(), [](const State& a, const State& b) {
    return a.bytes != b.bytes ? a.bytes < b.bytes : a.cost < b.cost;
  });
  size_t kept = 0;
  for (const State& state : *states)
    if (kept == 0 || state.cost < (*states)[kept - 1].cost) (*states)[kept++] = state;
  states->resize(kept);
}

}  // namespace

std::vector<size_t> SolveKnapsack(const std::vector<KnapsackClass>& choices, uint64_t capacity) {
  std::vector<std::vector<Item>> classes;
  std::vector<Step> steps;
  for (size_t i = 0; i < choices.size(); ++i) {
    assert(!choices[i].empty());
    classes.push_back(Undominated(choices[i]));
    AddHullSteps(classes.back(), i, &steps);
  }
  std::stable_sort(steps.begin(), steps.end(), [](const Step& a, const Step& b) { return a.Rate() > b.Rate(); });
  std::vector<Relaxation> rest;
  for (size_t i = 0; i <= classes.size(); ++i) rest.emplace_back(classes, steps, i);
  assert(rest[0].least_bytes() <= capacity);

  // A little room for the rounding of sums, so that the best is not cut off by it.
  const double most = GreedyCost(classes, rest, capacity);
  const double allowed = most + 1e-9 * (1 + std::abs(most));
  std::vector<std::vector<State>> stages = {{{0, 0, 0, 0}}};
  for (size_t i = 0; i < classes.size(); ++i) {
    std::vector<State> next;
    for (size_t before = 0; before < stages[i].size(); ++before) {
      for (const Item& item : classes[i]) {
        const uint64_t bytes = stages[i][before].bytes + item.bytes;
        const double cost = stages[i][before].cost + item.cost;
        if (bytes + rest[i + 1].least_bytes() > capacity) break;
        if (cost + rest[i + 1].Cost(capacity - bytes) <= allowed) next.push_back({bytes, cost, before, item.choice});
      }
    }
    KeepFrontier(&next);
    stages.push_back(std::move(next));
  }
  std::vector<size_t> chosen(classes.size());
  size_t at = stages.back().size() - 1;  // the frontier ends with its least cost
  for (size_t i = classes.size(); i > 0; --i) {
    chosen[i - 1] = stages[i][at].choice;
    at = stages[i][at].before;
  }
  return chosen;
}

}  // namespace ecld
