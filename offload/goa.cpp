#include <limits>

#include "core/error.h"
#include "offload/policies.h"

namespace ecld::offload {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

double WeightOf(const Pending& pending, const State& state) {
  return 1 + state.weights.uncertainty * pending.uncertainty.value_or(0);
}

// What a server is worth to a request that has not been placed.
struct Gap {
  double gain_s = -kInfinity;
  size_t request = 0;

  bool Above(const Gap& other, std::span<const Pending> pending) const {
    if (gain_s != other.gain_s) return gain_s > other.gain_s;
    return pending[request].request < pending[other.request].request;
  }
};

class Greedy {
 public:
  Greedy(std::span<const Pending> pending, const State& state)
      : pending_(pending), state_(state), members_(state.servers.size()), best_(state.servers.size()) {
    made_.place.assign(pending.size(), kLocal);
    for (const Pending& each : pending) weights_.push_back(WeightOf(each, state));
  }

  Assignment Run() {
    for (size_t j = 0; j < best_.size(); ++j) best_[j] = BestOf(j);
    while (Join()) continue;
    made_.cost_s = CostOf(pending_, state_, made_.place);
    return std::move(made_);
  }

 private:
  double Delay(size_t request, size_t server, int64_t k) {
    ++made_.delays;
    return RemoteDelay(pending_[request], static_cast<int>(server), k, state_);
  }

  // The request that gains most by joining a server, less what its members lose by one more.
  Gap BestOf(size_t server) {
    const auto k = static_cast<int64_t>(members_[server].size());
    double loss_s = 0;
    for (const size_t member : members_[server])
      loss_s += weights_[member] * (Delay(member, server, k + 1) - Delay(member, server, k));
    Gap best;
    for (size_t i = 0; i < pending_.size(); ++i) {
      if (made_.place[i] != kLocal) continue;
      const double saved_s = LocalDelay(pending_[i].local[0]) - Delay(i, server, k + 1);
      const Gap gap{weights_[i] * saved_s - loss_s, i};
      if (best.gain_s == -kInfinity || gap.Above(best, pending_)) best = gap;
    }
    return best;
  }

  // Places the best pair. Returns false where none gains. Only gaps of the joined server change, and of those servers
  // whose best request is no longer free.
  bool Join() {
    size_t server = 0;
    for (size_t j = 1; j < best_.size(); ++j)
      if (best_[j].Above(best_[server], pending_)) server = j;
    if (best_.empty() || !(best_[server].gain_s > 0)) return false;
    const size_t joined = best_[server].request;
    made_.place[joined] = static_cast<int>(server);
    members_[server].push_back(joined);
    for (size_t j = 0; j < best_.size(); ++j)
      if (j == server || best_[j].request == joined) best_[j] = BestOf(j);
    return true;
  }

  std::span<const Pending> pending_;
  const State& state_;
  std::vector<double> weights_;
  std::vector<std::vector<size_t>> members_;  // [server], as they joined
  std::vector<Gap> best_;                     // [server]
  Assignment made_;
};

}  // namespace

double CostOf(std::span<const Pending> pending, const State& state, std::span<const int> place) {
  std::vector<int64_t> joined(state.servers.size(), 0);
  for (const int at : place)
    if (at != kLocal) ++joined[static_cast<size_t>(at)];
  double cost_s = 0;
  for (size_t i = 0; i < pending.size(); ++i) {
    const int at = place[i];
    const double delay_s = at == kLocal ? LocalDelay(pending[i].local[0])
                                        : RemoteDelay(pending[i], at, joined[static_cast<size_t>(at)], state);
    cost_s += WeightOf(pending[i], state) * delay_s;
  }
  return cost_s;
}

Assignment Goa(std::span<const Pending> pending, const State& state) { return Greedy(pending, state).Run(); }

Assignment Exhaustive(std::span<const Pending> pending, const State& state) {
  const auto places = static_cast<int64_t>(state.servers.size()) + 1;
  int64_t count = 1;
  for (size_t i = 0; i < pending.size(); ++i)
    if ((count *= places) > kMostAssignments)
      Fail("exhaustive", "{} requests at once and {} servers make more than {} assignments; give a shorter epoch_ms",
           pending.size(), state.servers.size(), kMostAssignments);
  Assignment best{.place = std::vector<int>(pending.size(), kLocal), .cost_s = kInfinity};
  std::vector<int> place(pending.size());
  for (int64_t number = 0; number < count; ++number) {
    int64_t digits = number;
    for (int& at : place) {
      at = static_cast<int>(digits % places) - 1;
      digits /= places;
    }
    best.delays += static_cast<int64_t>(pending.size());
    if (const double cost_s = CostOf(pending, state, place); cost_s < best.cost_s) {
      best.cost_s = cost_s;
      best.place = place;
    }
  }
  return best;
}

}  // namespace ecld::offload
