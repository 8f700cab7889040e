#include "offload/simulator.h"

#include <algorithm>
#include <stdexcept>

#include "core/error.h"
#include "offload/simulation.h"
#include "offload/streams.h"

namespace ecld::offload {

Cost CostHere(PhaseTimes& times, int64_t prompt_tok, int64_t answer_tok, bool prompt, double share) {
  Cost cost;
  const auto add = [&](double part, double seconds, const std::optional<double>& joules) {
    cost.run_s += part * seconds;
    cost.joules = cost.joules && joules ? std::optional(*cost.joules + part * *joules) : std::nullopt;
  };
  if (prompt) add(1, times.PromptSeconds(prompt_tok), times.PromptJoules(prompt_tok));
  if (share > 0 && answer_tok > 0)
    add(share, times.AnswerSeconds(prompt_tok, answer_tok), times.AnswerJoules(prompt_tok, answer_tok));
  return cost;
}

Simulation::Simulation(const World& world, const Policy& policy, const RunOptions& options)
    : world_(world),
      policy_(policy),
      options_(options),
      arrivals_(world.requests.start(world.class_of.size(), options.seed)),
      network_(world.network({world.class_of.size(), world.servers.size()}, options.seed)),
      horizon_(FromSeconds(world.scenario.horizon_s)),
      ledger_(world, options) {
  if (world.scenario.link_known_after_s > 0)
    seen_late_ = world.network({world.class_of.size(), world.servers.size()}, options.seed);
  for (const DeviceClass& device : world.classes) {
    times_.emplace_back();
    for (const Answerer& variant : device.variants) times_.back().emplace_back(variant.model, device.spec.power_W);
  }
  for (size_t i = 0; i < world.class_of.size(); ++i)
    devices_.push_back({.station = DeviceStation(ClassOf(i).load_s),
                        .items = StreamOf(options.seed, Draws::kItems, i),
                        .choices = StreamOf(options.seed, Draws::kChoices, i)});
  for (const ServerClass& server : world.servers) server_times_.emplace_back(server.answerer.model, std::nullopt);
  for (size_t j = 0; j < world.servers.size(); ++j) {
    if (network_->BandOf(j) == bands_.size()) bands_.emplace_back(network_.get());
    servers_.emplace_back(&server_times_[j], world.servers[j].spec.batch, world.servers[j].spec.cache_B);
  }
  band_plans_.resize(bands_.size());
  server_plans_.resize(servers_.size());
  on_the_way_.resize(servers_.size());
  Schedule();
}

void Simulation::Schedule() {
  next_arrival_ = arrivals_->Next();
  if (next_arrival_ && next_arrival_->at < horizon_) clock_.Add(next_arrival_->at, {Happens::kArrival});
}

bool Simulation::Next() {
  if (asks_) Decided();
  for (;;) {
    if (event_.what == Happens::kArrival) Schedule();
    if (event_.what == Happens::kDevice && resumes_) {
      devices_[event_.index].station.Resume(clock_.now());
      KeepDevice(event_.index);
    }
    event_ = {Happens::kEpoch};
    if (clock_.empty()) return false;
    event_ = clock_.Next();
    resumes_ = false;
    ledger_.Sample(clock_.now(), [&] {
      QueueSample sample;
      for (const DeviceState& device : devices_) sample.on_devices += static_cast<int64_t>(device.station.jobs());
      for (const BandStation& band : bands_) sample.sending += static_cast<int64_t>(band.senders());
      for (const BatchStation& server : servers_)
        sample.on_servers += static_cast<int64_t>(server.running() + server.waiting());
      return sample;
    });
    Handle(event_);
    if (!asks_) continue;
    Ask();
    return true;
  }
}

RunResult Simulation::Run() {
  while (Next()) policy_.decide(pending_, state_, decisions_);
  return Result();
}

RunResult Simulation::Result() const {
  Nanoseconds server_ns = 0, air_ns = 0;
  for (const BatchStation& server : servers_) server_ns += server.busy_ns();
  for (const BandStation& band : bands_) air_ns += band.busy_ns();
  int64_t asked = 0, outside = 0;
  const auto count = [&](const PhaseTimes& times) {
    asked += times.asked();
    outside += times.outside();
  };
  for (const auto& of_class : times_) std::ranges::for_each(of_class, count);
  std::ranges::for_each(server_times_, count);
  const auto use_of = [&](Nanoseconds busy_ns, size_t stations) {
    const double whole_ns = static_cast<double>(clock_.now()) * static_cast<double>(stations);
    return whole_ns > 0 ? static_cast<double>(busy_ns) / whole_ns : 0;
  };
  RunResult result = ledger_.Result();
  result.server_use = use_of(server_ns, servers_.size());
  result.air_use = use_of(air_ns, bands_.size());
  result.outside = asked > 0 ? static_cast<double>(outside) / static_cast<double>(asked) : 0;
  result.events = clock_.handled();
  return result;
}

void Simulation::Handle(const Event& event) {
  switch (event.what) {
    case Happens::kArrival:
      return Arrive();
    case Happens::kEpoch:
      epoch_set_ = false;
      asks_ = true;
      return;
    case Happens::kDevice: {
      DeviceState& device = devices_[event.index];
      if (!Due(device.plan, event)) return;
      resumes_ = true;  // once what comes first is decided
      return Through(device.station.Proceed(clock_.now()));
    }
    case Happens::kBand: {
      if (!Due(band_plans_[event.index], event)) return;
      through_.clear();
      bands_[event.index].Proceed(clock_.now(), &through_);
      Keep(bands_[event.index], band_plans_[event.index], Happens::kBand, event.index);
      for (const RequestId id : through_) Reach(id);
      return;
    }
    case Happens::kServerReached: {
      const RequestRecord& record = requests_[event.index].record;
      const auto server = static_cast<size_t>(record.place);
      --on_the_way_[server];
      servers_[server].Submit({event.index, record.prompt_tok, record.answer_tok}, clock_.now());
      return Keep(servers_[server], server_plans_[server], Happens::kServer, server);
    }
    case Happens::kServer: {
      if (!Due(server_plans_[event.index], event)) return;
      through_.clear();
      servers_[event.index].Proceed(clock_.now(), &through_);
      Keep(servers_[event.index], server_plans_[event.index], Happens::kServer, event.index);
      for (const RequestId id : through_) Return(id);
      return;
    }
    case Happens::kAnswered:
      return Finish(event.index);
  }
}

bool Simulation::Due(Plan& plan, const Event& event) {
  if (event.version != plan.version) return false;
  plan.at = kLongestNs;
  return true;
}

void Simulation::Keep(const Station& station, Plan& plan, Happens what, size_t index) {
  if (station.next() == plan.at) return;
  plan.at = station.next();
  ++plan.version;
  if (plan.at < kLongestNs) clock_.Add(plan.at, {what, static_cast<uint32_t>(index), plan.version});
}

const Answer* Simulation::AnswerOf(const RequestRecord& record) const {
  if (!record.has_item) return nullptr;
  const Answerer& answerer = record.place == kLocal
                                 ? ClassOf(record.device).variants[static_cast<size_t>(record.variant)]
                                 : world_.servers[static_cast<size_t>(record.place)].answerer;
  return &answerer.answers[record.item];
}

int64_t Simulation::AnswerTokens(const RequestRecord& record, const Answerer& answerer) const {
  if (!record.has_item) return record.answer_tok;
  return answerer.answers[record.item].tok.value_or(record.answer_tok);
}

void Simulation::Arrive() {
  RequestId id;
  if (free_.empty()) {
    id = static_cast<RequestId>(requests_.size());
    requests_.emplace_back();
  } else {
    id = free_.back();
    free_.pop_back();
  }
  Request& request = requests_[id] = {};
  RequestRecord& record = request.record;
  DeviceState& device = devices_[next_arrival_->device];
  record = {.number = ledger_.Arrived(clock_.now()),
            .device = next_arrival_->device,
            .has_item = !world_.drawn.empty(),
            .arrived = clock_.now(),
            .prompt_tok = next_arrival_->prompt_tok,
            .answer_tok = next_arrival_->answer_tok,
            .joules = 0};
  if (record.has_item) record.item = world_.drawn[device.items.Below(world_.drawn.size())];
  if (world_.scenario.items.foretold && record.has_item)
    record.uncertainty = ClassOf(record.device).uncertainty[record.item];
  if (!Probes()) return Wait(id);
  request.probing = record.probed = true;
  RunHere(id, 0);
}

// Runs on the device what is left of a request there; of one that asks how sure it is, the part that tells.
void Simulation::RunHere(RequestId id, int variant) {
  Request& request = requests_[id];
  RequestRecord& record = request.record;
  PhaseTimes& times = TimesOf(record.device)[static_cast<size_t>(variant)];
  const int64_t tok = AnswerTokens(record, ClassOf(record.device).variants[static_cast<size_t>(variant)]);
  const bool goes_on = record.probed && !request.probing && variant == 0;
  const double begun = BegunShare(static_cast<double>(tok));
  const double answer = request.probing ? begun : goes_on ? 1 - begun : 1;
  const Cost cost = CostHere(times, record.prompt_tok, tok, !goes_on, answer);
  Charge(record, cost.joules);
  record.variant = variant;
  const int64_t expected_tok = ExpectedHere(record, static_cast<size_t>(variant)).whole_tok();
  const double expected_s = CostHere(times, record.prompt_tok, expected_tok, !goes_on, answer).run_s;
  devices_[record.device].station.Submit({id, variant, cost.run_s, expected_s}, goes_on, clock_.now());
  KeepDevice(record.device);
}

void Simulation::Charge(RequestRecord& record, std::optional<double> joules) const {
  record.joules = record.joules && joules ? std::optional(*record.joules + *joules) : std::nullopt;
}

// The device is through with it.
void Simulation::Through(RequestId id) {
  Request& request = requests_[id];
  if (!request.probing) return Finish(id);
  request.probing = false;
  request.record.uncertainty = ClassOf(request.record.device).uncertainty[request.record.item];
  Wait(id);
}

void Simulation::Wait(RequestId id) {
  waiting_.push_back(id);
  const Nanoseconds epoch = FromSeconds(world_.scenario.epoch_s);
  if (epoch == 0) asks_ = true;
  if (asks_ || epoch_set_) return;
  epoch_set_ = true;
  clock_.Add((clock_.now() + epoch - 1) / epoch * epoch, {Happens::kEpoch});
}

// All is sent; it is there after half a round trip.
void Simulation::Reach(RequestId id) {
  Request& request = requests_[id];
  RequestRecord& record = request.record;
  Charge(record, ClassOf(record.device).spec.send_W * Seconds(clock_.now() - request.sent_from));
  const Link link = network_->At(record.device, static_cast<size_t>(record.place), clock_.now());
  clock_.Add(clock_.now() + FromSeconds(link.rtt_s / 2), {Happens::kServerReached, id});
}

void Simulation::Return(RequestId id) {
  const RequestRecord& record = requests_[id].record;
  const Link link = network_->At(record.device, static_cast<size_t>(record.place), clock_.now());
  const double down_s = BitsOf(record.answer_tok) / link.down_bps;
  clock_.Add(clock_.now() + FromSeconds(link.rtt_s / 2 + down_s), {Happens::kAnswered, id});
}

void Simulation::Finish(RequestId id) {
  RequestRecord& record = requests_[id].record;
  record.done = clock_.now();
  if (record.place == kLocal)
    record.answer_tok = AnswerTokens(record, ClassOf(record.device).variants[static_cast<size_t>(record.variant)]);
  if (const Answer* answer = AnswerOf(record))
    std::tie(record.right, record.hallucinated) = std::tie(answer->right, answer->hallucinated);
  double& debt_J = devices_[record.device].energy_debt_J;
  if (const auto& budget_J = ClassOf(record.device).spec.energy_budget_J)
    debt_J = std::max(0.0, debt_J + record.joules.value_or(0) - *budget_J);
  ledger_.Done(record);
  if (options_.on_request) options_.on_request(record);
  free_.push_back(id);
}

RunResult Simulate(const World& world, std::string_view policy, const RunOptions& options) {
  const Policy found = PolicyFor(world, policy);
  const RunResult result = Simulation(world, found, options).Run();
  if (!result.littles_law || result.completed != result.arrived)
    throw std::logic_error("the books of a simulated run do not balance");
  if (result.outside > world.scenario.outside_share)
    Fail(world.scenario.file,
         "policy {}: {:.1f} % of the times looked up lie outside the measured grids, more than outside_share allows, "
         "{:.1f} %; profile more lengths and batches, or allow more",
         policy, 100 * result.outside, 100 * world.scenario.outside_share);
  return result;
}

std::vector<std::optional<double>> MetricValues(const World& world, const RunResult& run) {
  const Limits& of_scenario = world.scenario.limits;
  const LimitValues limits{of_scenario.accuracy, of_scenario.hallucination, of_scenario.deadline_s};
  std::vector<std::optional<double>> values;
  for (const RunMetric& metric : RunMetrics()) values.push_back(metric.of(run, limits));
  return values;
}

}  // namespace ecld::offload
