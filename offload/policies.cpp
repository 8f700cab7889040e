#include "offload/policies.h"

#include <algorithm>
#include <limits>

#include "core/error.h"
#include "offload/learned_policy.h"

namespace ecld::offload {
namespace {

// How many of the requests of this moment go to each server so far.
using Joined = std::vector<int64_t>;

// The cheapest choice for one request by a cost of a local variant and of a server that one more joins.
template <class OfLocal, class OfRemote>
Decision Cheapest(const Pending& pending, const Joined& joined, const OfLocal& of_local, const OfRemote& of_remote,
                  bool stay = true) {
  Decision best;
  double least = std::numeric_limits<double>::infinity();
  for (size_t v = 0; stay && v < pending.local.size(); ++v)
    if (const double cost = of_local(pending.local[v]); v == 0 || cost < least)
      std::tie(best, least) = std::pair(Decision{kLocal, static_cast<int>(v)}, cost);
  for (size_t j = 0; j < joined.size(); ++j)
    if (const double cost = of_remote(static_cast<int>(j), joined[j] + 1); cost < least || (!stay && j == 0))
      std::tie(best, least) = std::pair(Decision{static_cast<int>(j), 0}, cost);
  return best;
}

Decision Soonest(const Pending& pending, const State& state, const Joined& joined, bool stay) {
  return Cheapest(
      pending, joined, LocalDelay, [&](int j, int64_t k) { return RemoteDelay(pending, j, k, state); }, stay);
}

// One request after another, each knowing where those before it go.
template <class Choose>
void InTurn(std::span<const Pending> pending, const State& state, std::span<Decision> decisions, const Choose& choose) {
  Joined joined(state.servers.size(), 0);
  for (size_t i = 0; i < pending.size(); ++i) {
    decisions[i] = choose(pending[i], joined);
    if (decisions[i].place != kLocal) ++joined[static_cast<size_t>(decisions[i].place)];
  }
}

void Local(std::span<const Pending>, const State&, std::span<Decision> decisions) {
  std::ranges::fill(decisions, Decision{});
}

void Nearest(std::span<const Pending> pending, const State&, std::span<Decision> decisions) {
  for (size_t i = 0; i < pending.size(); ++i) {
    const auto best =
        std::ranges::max_element(pending[i].remote, {}, [](const auto& to) { return StrengthOf(to.link); });
    decisions[i] = {static_cast<int>(best - pending[i].remote.begin()), 0};
  }
}

void Anywhere(std::span<const Pending> pending, const State& state, std::span<Decision> decisions) {
  const auto places = static_cast<double>(state.servers.size() + 1);
  for (size_t i = 0; i < pending.size(); ++i) decisions[i] = {static_cast<int>(pending[i].draw * places) - 1, 0};
}

void LeastLatency(std::span<const Pending> pending, const State& state, std::span<Decision> decisions) {
  InTurn(pending, state, decisions,
         [&](const Pending& each, const Joined& joined) { return Soonest(each, state, joined, true); });
}

void Threshold(std::span<const Pending> pending, const State& state, std::span<Decision> decisions) {
  InTurn(pending, state, decisions, [&](const Pending& each, const Joined& joined) {
    const bool good = each.local[0].worth.right.value_or(0) >= state.weights.threshold;
    return good ? Decision{} : Soonest(each, state, joined, false);
  });
}

// Neely's drift-plus-penalty: seconds times V, and what the choice adds to each virtual queue times its length.
void DriftPlusPenalty(std::span<const Pending> pending, const State& state, std::span<Decision> decisions) {
  const auto debts = [&](const Worth& worth) {
    return state.accuracy_debt * (1 - worth.right.value_or(0)) +
           state.hallucination_debt * worth.hallucinated.value_or(0);
  };
  InTurn(pending, state, decisions, [&](const Pending& each, const Joined& joined) {
    return Cheapest(
        each, joined,
        [&](const LocalOption& option) {
          return state.weights.latency * LocalDelay(option) + each.energy_debt_J * option.joules.value_or(0) +
                 debts(option.worth);
        },
        [&](int j, int64_t k) {
          return state.weights.latency * RemoteDelay(each, j, k, state) +
                 each.energy_debt_J * SendJoules(each, j, k, state) + debts(each.remote[static_cast<size_t>(j)].worth);
        });
  });
}

template <Assignment (*assign)(std::span<const Pending>, const State&)>
void Assigned(std::span<const Pending> pending, const State& state, std::span<Decision> decisions) {
  const Assignment assignment = assign(pending, state);
  for (size_t i = 0; i < pending.size(); ++i) decisions[i] = {assignment.place[i], 0};
}

constexpr bool kProbes = true;

const Policy kPolicies[] = {
    {"local", "all on the device", Local},
    {"nearest", "all to the server of the strongest link", Nearest},
    {"random", "device and servers with the same chance", Anywhere},
    {"latency", "where the answer is expected first", LeastLatency},
    {"threshold", "to a server when the device's answer is not sure enough", Threshold, kProbes},
    {"goa", "greedy, by delay gaps weighted by uncertainty", Assigned<Goa>, kProbes},
    {"drift", "drift plus penalty: least latency within the limits", DriftPlusPenalty},
    {"exhaustive", "the least weighted delay of all assignments; few requests at once", Assigned<Exhaustive>},
};

}  // namespace

std::span<const Policy> Policies() { return kPolicies; }

Policy FindPolicy(std::string_view name, std::string_view where) {
  if (name.starts_with(kLearned)) return ReadLearnedPolicy(std::string(name.substr(kLearned.size())));
  std::vector<std::string> known;
  for (const Policy& policy : kPolicies) {
    if (policy.name == name) return policy;
    known.emplace_back(policy.name);
  }
  Fail(where, "there is no policy \"{}\"{}", name, DidYouMean(name, known));
}

}  // namespace ecld::offload
