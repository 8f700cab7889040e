#include <algorithm>
#include <cassert>
#include <cmath>

#include "offload/simulation.h"

namespace ecld::offload {

void Simulation::Ask() {
  server_states_.clear();
  for (size_t j = 0; j < servers_.size(); ++j)
    server_states_.push_back(
        {.senders = static_cast<int64_t>(bands_[network_->BandOf(j)].senders()),
         .occupied = static_cast<int64_t>(servers_[j].running() + servers_[j].waiting()) + on_the_way_[j],
         .batch = world_.servers[j].spec.batch,
         .wait_s = servers_[j].waiting_prompts_s(),
         .stretch = world_.servers[j].stretch});
  local_options_.resize(std::max(local_options_.size(), waiting_.size()));
  remote_options_.resize(local_options_.size());
  pending_.clear();
  for (const RequestId id : waiting_) pending_.push_back(Ask(id));
  decisions_.assign(waiting_.size(), {});
  state_ = {.servers = server_states_,
            .weights = world_.scenario.weights,
            .accuracy_debt = ledger_.accuracy_debt(),
            .hallucination_debt = ledger_.hallucination_debt()};
}

void Simulation::Decided() {
  asks_ = false;
  decided_.clear();
  std::swap(decided_, waiting_);
  for (size_t i = 0; i < decided_.size(); ++i) Place(decided_[i], decisions_[i]);
}

Foreseen Simulation::ExpectedHere(const RequestRecord& record, size_t variant) const {
  return Foresee(record, ClassOf(record.device).local, variant);
}

Foreseen Simulation::ExpectedThere(const RequestRecord& record, size_t server) const {
  return Foresee(record, ClassOf(record.device).remote, server);
}

Foreseen Simulation::Foresee(const RequestRecord& record, const std::vector<std::vector<Expectation>>& of,
                             size_t answerer) const {
  Foreseen foreseen{.tok = static_cast<double>(record.answer_tok)};
  if (!record.has_item) return foreseen;
  const size_t task = world_.task_of[record.item];
  const Expectation& expectation = of[answerer][task];
  foreseen.tok = expectation.answer_tok.value_or(foreseen.tok);
  foreseen.worth = expectation.At(ClassOf(record.device).of[task], record.uncertainty);
  return foreseen;
}

// A link as a policy is shown it.
Link Simulation::Known(size_t device, size_t server) {
  if (!seen_late_) return network_->At(device, server, clock_.now());
  const Nanoseconds then = clock_.now() - FromSeconds(world_.scenario.link_known_after_s);
  return seen_late_->At(device, server, std::max<Nanoseconds>(0, then));
}

// A request as its policy sees it: expected figures only.
Pending Simulation::Ask(RequestId id) {
  const RequestRecord& record = requests_[id].record;
  const DeviceClass& of_class = ClassOf(record.device);
  DeviceState& device = devices_[record.device];
  std::vector<LocalOption>& local = local_options_[pending_.size()];
  std::vector<RemoteOption>& remote = remote_options_[pending_.size()];
  local.clear();
  remote.clear();
  for (size_t v = 0; v < of_class.variants.size(); ++v) {
    const Foreseen foreseen = ExpectedHere(record, v);
    const bool begun = record.probed && v == 0;  // it goes on before all that waits
    const Cost cost = CostHere(TimesOf(record.device)[v], record.prompt_tok, foreseen.whole_tok(), !begun,
                               begun ? 1 - BegunShare(foreseen.tok) : 1);
    local.push_back({.wait_s = begun ? 0 : device.station.WaitSeconds(static_cast<int>(v), clock_.now()),
                     .run_s = cost.run_s,
                     .joules = cost.joules,
                     .worth = foreseen.worth});
  }
  for (size_t j = 0; j < servers_.size(); ++j) {
    const Foreseen foreseen = ExpectedThere(record, j);
    const int64_t tok = foreseen.whole_tok();
    remote.push_back({.link = Known(record.device, j),
                      .up_bits = BitsOf(record.prompt_tok),
                      .down_bits = BitsOf(tok),
                      .prompt_s = server_times_[j].PromptSeconds(record.prompt_tok),
                      .answer_s = tok > 0 ? server_times_[j].AnswerSeconds(record.prompt_tok, tok) : 0,
                      .worth = foreseen.worth});
  }
  return {.request = record.number,
          .local = local,
          .remote = remote,
          .uncertainty = record.uncertainty,
          .send_W = of_class.spec.send_W,
          .energy_debt_J = device.energy_debt_J,
          .draw = device.choices.Uniform()};
}

void Simulation::Place(RequestId id, const Decision& decision) {
  RequestRecord& record = requests_[id].record;
  record.place = decision.place;
  record.variant = decision.variant;
  assert(decision.place == kLocal || decision.place < static_cast<int>(servers_.size()));
  if (decision.place != kLocal) return Send(id, static_cast<size_t>(decision.place));
  RunHere(id, decision.variant);
}

void Simulation::Send(RequestId id, size_t server) {
  Request& request = requests_[id];
  request.record.answer_tok = AnswerTokens(request.record, world_.servers[server].answerer);
  request.sent_from = clock_.now();
  ++on_the_way_[server];
  const size_t band = network_->BandOf(server);
  bands_[band].Submit(id, request.record.device, server, BitsOf(request.record.prompt_tok), clock_.now());
  Keep(bands_[band], band_plans_[band], Happens::kBand, band);
}

}  // namespace ecld::offload
