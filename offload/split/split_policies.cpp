#include "offload/split/split_policies.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "core/error.h"

namespace ecld::offload {

void ExpandCuts(const CutPolicies& named, std::vector<std::string>* policies) {
  std::vector<std::string> expanded;
  for (const std::string& policy : *policies) {
    if (policy != "cuts") {
      expanded.push_back(policy);
      continue;
    }
    for (const std::string& fixed : named.fixed)
      if (fixed.starts_with("cut-")) expanded.push_back(fixed);
  }
  *policies = expanded;
}

void RequirePolicy(const CutPolicies& named, const std::string& policy, const std::string& where) {
  std::vector<std::string> known = named.fixed;
  known.insert(known.end(), {"random", "table", "dp"});
  if (std::ranges::find(known, policy) == known.end())
    Fail(where, "there is no policy \"{}\"{}; there are {}", policy, DidYouMean(policy, known), fmt::join(known, ", "));
}

ChooseFunction ChooserOf(const CutPolicies& named, const std::string& policy, const FiniteProcess& process,
                         const SolvedProcess& solved, uint64_t random) {
  const auto fixed = std::ranges::find(named.fixed, policy);
  if (fixed != named.fixed.end())
    return [choice = static_cast<int>(fixed - named.fixed.begin())](int, int) { return choice; };
  if (policy == "dp")
    return [&](int step, int state) { return solved.best[static_cast<size_t>(step)][static_cast<size_t>(state)]; };
  if (policy == "random")
    return [&process, random](int step, int state) {
      const auto place = static_cast<uint64_t>(step) * static_cast<uint64_t>(process.states());
      return static_cast<int>(
          Random(random + place + static_cast<uint64_t>(state)).Below(static_cast<uint64_t>(process.choices())));
    };
  return [&process](int step, int state) {
    int best = 0;
    for (int choice = 1; choice < process.choices(); ++choice)
      if (process.At(step, state, choice).reward > process.At(step, state, best).reward) best = choice;
    return best;
  };
}

}  // namespace ecld::offload
