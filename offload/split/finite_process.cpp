#include "offload/split/finite_process.h"

#include <limits>
#include <tuple>

namespace ecld::offload {
namespace {

double Worth(const Outcome& outcome, const std::vector<double>& later) {
  double worth = outcome.reward;
  for (const auto& [state, chance] : outcome.next) worth += chance * later[static_cast<size_t>(state)];
  return worth;
}

// decide(step, state, worth of a choice): the choice.
template <class Decide>
SolvedProcess Backward(const FiniteProcess& process, const Decide& decide) {
  const auto steps = static_cast<size_t>(process.steps()), states = static_cast<size_t>(process.states());
  SolvedProcess made{.value = std::vector(steps + 1, std::vector(states, 0.0)),
                     .best = std::vector(steps, std::vector(states, 0))};
  for (int step = process.steps() - 1; step >= 0; --step) {
    const auto t = static_cast<size_t>(step);
    for (int state = 0; state < process.states(); ++state) {
      if (!process.Reachable(step, state)) continue;
      const auto worth = [&](int choice) { return Worth(process.At(step, state, choice), made.value[t + 1]); };
      const int choice = decide(step, state, worth);
      made.best[t][static_cast<size_t>(state)] = choice;
      made.value[t][static_cast<size_t>(state)] = worth(choice);
    }
  }
  return made;
}

}  // namespace

SolvedProcess Solve(const FiniteProcess& process) {
  return Backward(process, [&](int, int, const auto& worth) {
    int best = 0;
    double most = -std::numeric_limits<double>::infinity();
    for (int choice = 0; choice < process.choices(); ++choice)
      if (const double of_choice = worth(choice); of_choice > most) std::tie(best, most) = std::pair(choice, of_choice);
    return best;
  });
}

SolvedProcess Evaluate(const FiniteProcess& process, const ChooseFunction& choose) {
  return Backward(process, [&](int step, int state, const auto&) { return choose(step, state); });
}

}  // namespace ecld::offload
