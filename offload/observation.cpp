#include "offload/observation.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace ecld::offload {
namespace {

constexpr size_t kOfVariant = 5, kOfServer = 8, kOfAll = 6;

// Times span decades; nothing gets through: as long as the longest.
float LogSeconds(double seconds) {
  constexpr double kShort = 1e-3, kLong = 1e4;
  return static_cast<float>(std::log10(std::clamp(seconds, 0.0, kLong) + kShort));
}

class Writer {
 public:
  explicit Writer(std::span<float> to) : to_(to) {}
  void Put(double value) { to_[at_++] = static_cast<float>(value); }
  void Put(const std::optional<double>& value, double unknown) { Put(value.value_or(unknown)); }
  void Skip(size_t n) {
    for (size_t i = 0; i < n; ++i) Put(0);
  }
  size_t written() const { return at_; }

 private:
  std::span<float> to_;
  size_t at_ = 0;
};

void Put(const Worth& worth, Writer& to) {
  to.Put(worth.right, 0.5);
  to.Put(worth.hallucinated, 0.5);
}

}  // namespace

size_t DecisionShape::observed() const { return kOfVariant * variants + kOfServer * servers + kOfAll; }

void ObserveRequest(const Pending& pending, const State& state, std::span<const int64_t> joined, DecisionShape shape,
                    std::span<float> observation, std::span<uint8_t> allowed) {
  assert(observation.size() == shape.observed() && allowed.size() == shape.choices());
  Writer to(observation);
  for (size_t v = 0; v < shape.variants; ++v) {
    allowed[v] = v < pending.local.size();
    if (!allowed[v]) {
      to.Skip(kOfVariant);
      continue;
    }
    const LocalOption& option = pending.local[v];
    to.Put(LogSeconds(option.wait_s));
    to.Put(LogSeconds(option.run_s));
    to.Put(option.joules, 0);
    Put(option.worth, to);
  }
  for (size_t j = 0; j < shape.servers; ++j) {
    const RemoteOption& option = pending.remote[j];
    const ServerState& server = state.servers[j];
    allowed[shape.variants + j] = option.link.up_bps > 0;
    const int64_t k = joined[j] + 1;
    to.Put(LogSeconds(RemoteDelay(pending, static_cast<int>(j), k, state)));
    to.Put(LogSeconds(option.up_bits / std::max(1.0, option.link.up_bps)));
    to.Put(LogSeconds(option.link.rtt_s));
    to.Put(LogSeconds(server.wait_s));
    to.Put(static_cast<double>(server.occupied + k) / static_cast<double>(server.batch));
    to.Put(static_cast<double>(server.senders + k));
    Put(option.worth, to);
  }
  to.Put(pending.uncertainty, 0.5);
  to.Put(pending.uncertainty ? 1.0 : 0.0);
  to.Put(std::log1p(pending.energy_debt_J));
  to.Put(std::log1p(state.accuracy_debt));
  to.Put(std::log1p(state.hallucination_debt));
  to.Put(pending.send_W);
  assert(to.written() == observation.size());
}

Decision DecisionOf(size_t choice, DecisionShape shape) {
  if (choice < shape.variants) return {kLocal, static_cast<int>(choice)};
  return {static_cast<int>(choice - shape.variants), 0};
}

size_t BestChoice(std::span<const float> logits, std::span<const uint8_t> allowed) {
  size_t best = logits.size();
  for (size_t i = 0; i < logits.size(); ++i)
    if (allowed[i] && (best == logits.size() || logits[i] > logits[best])) best = i;
  assert(best < logits.size());
  return best;
}

}  // namespace ecld::offload
