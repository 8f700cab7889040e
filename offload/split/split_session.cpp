#include "offload/split/split_session.h"

#include <cmath>

#include "core/error.h"

namespace ecld::offload {

SplitUse& SplitUse::operator+=(const SplitUse& more) {
  device_s += more.device_s;
  send_s += more.send_s;
  round_trips_s += more.round_trips_s;
  server_s += more.server_s;
  receive_s += more.receive_s;
  move_s += more.move_s;
  joules += more.joules;
  nats += more.nats;
  return *this;
}

SplitSession::SplitSession(const LayerTimes& device, const LayerTimes& server, const Table& cuts,
                           const EstimateGrid& ppl_ratio, SplitPlan plan, const std::string& where)
    : plan_(std::move(plan)), cache_bits_per_tok_(8 * device.CacheBytesPerToken()) {
  const int64_t layers = device.layers();
  const auto part_of = [&](Phase phase, int64_t tok, double tokens) {
    const std::vector<double> here = device.SecondsBelow(phase, tok), there = server.SecondsBelow(phase, tok);
    const auto joules = device.JoulesBelow(phase, tok);
    knows_energy_ = knows_energy_ && joules.has_value();
    Part part{.tokens = tokens, .ctx_tok = static_cast<double>(tok)};
    for (const int64_t cut : plan_.cuts) {
      part.device_s.push_back(here[static_cast<size_t>(cut)]);
      part.server_s.push_back(there.back() - there[static_cast<size_t>(cut)]);
      part.joules.push_back(joules ? (*joules)[static_cast<size_t>(cut)] : 0);
    }
    return part;
  };
  prompt_ = part_of(Phase::kPrefill, plan_.prompt_tok, 1);
  for (int64_t done = 0; done < plan_.answer_tok; done += plan_.step_tok) {
    const int64_t tokens = std::min(plan_.step_tok, plan_.answer_tok - done);
    parts_.push_back(part_of(Phase::kDecode, plan_.prompt_tok + done + tokens / 2, static_cast<double>(tokens)));
  }
  const auto of_cut = [&](const char* column, int64_t cut, int64_t tok) {
    const Estimate found = LookUpCut(cuts, column, cut, plan_.sent_as, static_cast<double>(tok), 1);
    if (!found.in_range)
      Fail(where, "cuts.csv does not tell {} of cut {} in {} for {} tokens", column, cut, plan_.sent_as, tok);
    return found.value;
  };
  for (const int64_t cut : plan_.cuts) {
    prompt_up_bits_.push_back(8 * of_cut("up_B", cut, plan_.prompt_tok));
    // Where ids are sent whole, the answer goes on by itself.
    round_trips_.push_back(of_cut("rtt_per_gen_tok", cut, 1));
    token_up_bits_.push_back(round_trips_.back() > 0 ? 8 * of_cut("up_B", cut, 1) : 0);
    down_bits_.push_back(8 * of_cut("down_B", cut, 1));
  }
  for (const SplitRegime& regime : plan_.regimes) {
    nats_.emplace_back();
    for (const int64_t cut : plan_.cuts) {
      const Estimate ratio = cut == 0 || cut == layers ? Estimate{.value = 1, .in_range = true}
                                                       : ppl_ratio.At(static_cast<double>(cut), regime.noise);
      if (!ratio.in_range)
        Fail(where, "split_quality.csv does not tell what damage of {} costs at cut {}", regime.noise, cut);
      nats_.back().push_back(std::log(ratio.value));
    }
  }
}

SplitUse SplitSession::TokenAt(int step, int regime, int choice) const {
  const auto c = static_cast<size_t>(choice);
  const Part& part = parts_[static_cast<size_t>(step)];
  const SplitRegime& link = plan_.regimes[static_cast<size_t>(regime)];
  const double send_s = token_up_bits_[c] / link.up_bps;
  return {.device_s = part.device_s[c],
          .send_s = send_s,
          .round_trips_s = round_trips_[c] * link.rtt_s,
          .server_s = part.server_s[c],
          .receive_s = down_bits_[c] / link.down_bps,
          .joules = part.joules[c] + plan_.send_W * send_s,
          .nats = nats_[static_cast<size_t>(regime)][c]};
}

SplitUse SplitSession::Prompt(int regime, int choice) const {
  const auto c = static_cast<size_t>(choice);
  const SplitRegime& link = plan_.regimes[static_cast<size_t>(regime)];
  const double send_s = prompt_up_bits_[c] / link.up_bps;
  return {.device_s = prompt_.device_s[c],
          .send_s = send_s,
          .round_trips_s = prompt_up_bits_[c] > 0 ? link.rtt_s : 0,
          .server_s = prompt_.server_s[c],
          .joules = prompt_.joules[c] + plan_.send_W * send_s};
}

// The caches of the layers between two cuts go over, to whoever runs them now.
SplitUse SplitSession::Move(int step, int regime, int from, int to) const {
  const SplitRegime& link = plan_.regimes[static_cast<size_t>(regime)];
  const Part& part = parts_[static_cast<size_t>(step)];
  const double begun_tok = part.ctx_tok - std::floor(part.tokens / 2);
  const auto between = plan_.cuts[static_cast<size_t>(from)] - plan_.cuts[static_cast<size_t>(to)];
  const double bits = static_cast<double>(std::abs(between)) * begun_tok * cache_bits_per_tok_;
  const double send_s = between > 0 ? bits / link.up_bps : 0;
  return {.move_s = send_s + (between < 0 ? bits / link.down_bps : 0) + link.rtt_s, .joules = plan_.send_W * send_s};
}

SplitUse SplitSession::UseAt(int step, int state, int choice) const {
  const int regime = RegimeOf(state), before = CutOf(state);
  SplitUse use = TokenAt(step, regime, choice);
  const double tokens = parts_[static_cast<size_t>(step)].tokens;
  for (double* of_token :
       {&use.device_s, &use.send_s, &use.round_trips_s, &use.server_s, &use.receive_s, &use.joules, &use.nats})
    *of_token *= tokens;
  if (step == 0) use += Prompt(regime, choice);
  if (step > 0 && before != choice) use += Move(step, regime, before, choice);
  return use;
}

Outcome SplitSession::At(int step, int state, int choice) const {
  const SplitUse use = UseAt(step, state, choice);
  const SplitWeights& weights = plan_.weights;
  Outcome outcome{.reward =
                      -(weights.latency * use.Seconds() + weights.energy * use.joules + weights.quality * use.nats)};
  const int regime = RegimeOf(state);
  const double leaves = regimes() > 1 ? 1 / plan_.regimes[static_cast<size_t>(regime)].mean_steps : 0;
  for (int next = 0; next < regimes(); ++next) {
    const double chance = next == regime ? 1 - leaves : leaves / (regimes() - 1);
    if (chance > 0) outcome.next.emplace_back(next * (choices() + 1) + choice, chance);
  }
  return outcome;
}

}  // namespace ecld::offload
