#include <algorithm>
#include <cmath>

#include "offload/dcf.h"
#include "offload/decide.h"

namespace ecld::offload {
namespace {

double SendSeconds(const Pending& pending, int server, int64_t k, const State& state) {
  const RemoteOption& option = pending.remote[static_cast<size_t>(server)];
  const auto senders = static_cast<double>(state.servers[static_cast<size_t>(server)].senders + k);
  return BitsOnAir(option.link, option.up_bits) / ShareOf(option.link, senders);
}

}  // namespace

double ShareOf(const Link& link, double n) {
  if (link.contention) return link.up_bps * link.contention->Among(n).throughput / n;
  if (!link.shared) return link.up_bps;
  if (link.snr <= 0) return link.up_bps / n;
  return link.band_Hz / n * std::log2(1 + link.snr * n);
}

double BitsOnAir(const Link& link, double bits) {
  return link.burst_bits > 0 ? std::ceil(bits / link.burst_bits) * link.burst_bits : bits;
}

double LocalDelay(const LocalOption& option) { return option.wait_s + option.run_s; }

double RemoteDelay(const Pending& pending, int server, int64_t k, const State& state) {
  const RemoteOption& option = pending.remote[static_cast<size_t>(server)];
  const ServerState& there = state.servers[static_cast<size_t>(server)];
  const double together = static_cast<double>(there.occupied + k), batch = static_cast<double>(there.batch);
  double step = 1;
  if (!there.stretch.empty())
    step = there.stretch[static_cast<size_t>(std::clamp<int64_t>(there.occupied + k, 1, there.batch)) - 1];
  const double answer_s = option.answer_s * step;
  // Prompts go one after another: half of the others' come first. Beyond the batch, answers go in turns.
  const double prompts_s = option.prompt_s * (1 + static_cast<double>(k - 1) / 2);
  const double turns_s = std::max(0.0, together - batch) / batch * answer_s;
  return SendSeconds(pending, server, k, state) + option.link.rtt_s + there.wait_s + prompts_s + turns_s + answer_s +
         option.down_bits / option.link.down_bps;
}

double SendJoules(const Pending& pending, int server, int64_t k, const State& state) {
  return pending.send_W * SendSeconds(pending, server, k, state);
}

}  // namespace ecld::offload
