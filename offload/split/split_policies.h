#pragma once
// The policies that choose cuts, by name: each fixed choice, at random, the best of the next step, the exact best.

#include <string>
#include <vector>

#include "core/random.h"
#include "offload/split/finite_process.h"

namespace ecld::offload {

// The policies by name: "cuts" stands for each one.
struct CutPolicies {
  std::vector<std::string> fixed;  // [choices]
};

void ExpandCuts(const CutPolicies& named, std::vector<std::string>* policies);
// THROWS Error, saying which there are.
void RequirePolicy(const CutPolicies& named, const std::string& policy, const std::string& where);
// REQUIRES: RequirePolicy. random: of one episode. Both processes must outlive what is returned.
ChooseFunction ChooserOf(const CutPolicies& named, const std::string& policy, const FiniteProcess& process,
                         const SolvedProcess& solved, uint64_t random);

// One course of a process: visit(step, state, choice, the state after it). The sum of rewards.
template <class Visit>
double Follow(const FiniteProcess& process, const ChooseFunction& choose, int state, Random random,
              const Visit& visit) {
  double reward = 0;
  for (int step = 0; step < process.steps(); ++step) {
    const int choice = choose(step, state);
    const Outcome outcome = process.At(step, state, choice);
    reward += outcome.reward;
    double draw = random.Uniform();
    int next = outcome.next.back().first;
    for (const auto& [candidate, chance] : outcome.next)
      if ((draw -= chance) < 0) {
        next = candidate;
        break;
      }
    visit(step, state, choice, next);
    state = next;
  }
  return reward;
}

}  // namespace ecld::offload
