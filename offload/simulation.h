#pragma once
// A run as it goes: simulator.cpp has what happens when, simulator_decisions.cpp what a policy is asked and what
// follows from its answer. For these two alone; simulator.h is what others use.

#include <cmath>
#include <memory>
#include <vector>

#include "core/random.h"
#include "offload/ledger.h"
#include "offload/policies.h"
#include "offload/simulator.h"
#include "offload/stations.h"

namespace ecld::offload {

struct Cost {
  double run_s = 0;
  std::optional<double> joules = 0;
};

// Of a device that runs a prompt, or has already, and a share of an answer.
Cost CostHere(PhaseTimes& times, int64_t prompt_tok, int64_t answer_tok, bool prompt, double share);

enum class Happens : uint8_t { kArrival, kEpoch, kDevice, kBand, kServerReached, kServer, kAnswered };

struct Event {
  Happens what;
  uint32_t index = 0;    // of the station, or the request
  uint32_t version = 0;  // of the station's plan: an older one is void
};

struct Request {
  RequestRecord record;
  bool probing = false;  // the device runs to learn how sure it is
  Nanoseconds sent_from = 0;
};

// What may be known of an answer that is not there yet.
struct Foreseen {
  Worth worth;
  double tok = 0;

  int64_t whole_tok() const { return std::lround(tok); }
};

class Simulation {
 public:
  Simulation(const World& world, const Policy& policy, const RunOptions& options);
  RunResult Run();

  // Or step by step: goes on to the next moment at which something is to be decided, by what is in decisions() then.
  // False: there is none, all are answered.
  bool Next();
  std::span<const Pending> pending() const { return pending_; }
  const State& state() const { return state_; }
  std::span<Decision> decisions() { return decisions_; }  // all local at first
  double under_way_s() const { return ledger_.under_way_s(clock_.now()); }
  RunResult Result() const;

 private:
  // What the clock has of a station's plan.
  struct Plan {
    Nanoseconds at = kLongestNs;
    uint32_t version = 0;
  };

  struct DeviceState {
    DeviceStation station;
    Random items, choices;
    double energy_debt_J = 0;
    Plan plan;
  };

  const DeviceClass& ClassOf(size_t device) const { return world_.classes[world_.class_of[device]]; }
  std::vector<PhaseTimes>& TimesOf(size_t device) { return times_[world_.class_of[device]]; }
  const Answer* AnswerOf(const RequestRecord& record) const;

  void Schedule();
  void Handle(const Event& event);
  // Whether the event is of the plan that stands, which it then fulfils.
  static bool Due(Plan& plan, const Event& event);
  // Has the clock follow what a station plans.
  void Keep(const Station& station, Plan& plan, Happens what, size_t index);
  void KeepDevice(size_t device) { Keep(devices_[device].station, devices_[device].plan, Happens::kDevice, device); }

  void Arrive();
  void Wait(RequestId id);
  void Ask();
  void Decided();
  Pending Ask(RequestId id);
  // Of an answer by a variant of the device, or by a server.
  Foreseen ExpectedHere(const RequestRecord& record, size_t variant) const;
  Foreseen ExpectedThere(const RequestRecord& record, size_t server) const;
  Foreseen Foresee(const RequestRecord& record, const std::vector<std::vector<Expectation>>& of, size_t answerer) const;
  void Place(RequestId id, const Decision& decision);
  void RunHere(RequestId id, int variant);
  void Send(RequestId id, size_t server);
  void Through(RequestId id);
  void Reach(RequestId id);
  void Return(RequestId id);
  void Finish(RequestId id);
  void Charge(RequestRecord& record, std::optional<double> joules) const;
  Link Known(size_t device, size_t server);
  double BitsOf(int64_t tok) const { return 8 * world_.scenario.B_per_tok * static_cast<double>(tok); }

  // Of its answer, what a device runs to learn how sure it is: the first token, or all of it.
  double BegunShare(double answer_tok) const {
    return world_.scenario.items.uncertainty == "first" && answer_tok > 1 ? 1 / answer_tok : 1;
  }
  bool Probes() const { return policy_.probes && !world_.scenario.items.foretold; }
  int64_t AnswerTokens(const RequestRecord& record, const Answerer& answerer) const;

  const World& world_;
  const Policy& policy_;
  const RunOptions& options_;
  EventQueue<Event> clock_;
  std::unique_ptr<Arrivals> arrivals_;
  std::optional<Arrival> next_arrival_;
  std::unique_ptr<Network> network_;
  std::unique_ptr<Network> seen_late_;          // the same, for what is shown of it, where that is some time ago
  std::vector<std::vector<PhaseTimes>> times_;  // [classes][variants]
  std::vector<PhaseTimes> server_times_;
  std::vector<DeviceState> devices_;
  std::vector<BandStation> bands_;
  std::vector<BatchStation> servers_;
  std::vector<Plan> band_plans_, server_plans_;
  std::vector<int64_t> on_the_way_;  // [servers]: through the band, or to it
  std::vector<Request> requests_;
  std::vector<RequestId> free_, waiting_, decided_, through_;
  bool epoch_set_ = false;
  Event event_ = {Happens::kEpoch};      // that is handled
  bool asks_ = false, resumes_ = false;  // for decisions; its device with what waits there
  // What a policy is shown; kept, so that nothing is allocated for each request.
  std::vector<std::vector<LocalOption>> local_options_;
  std::vector<std::vector<RemoteOption>> remote_options_;
  std::vector<ServerState> server_states_;
  std::vector<Pending> pending_;
  std::vector<Decision> decisions_;
  State state_;
  Nanoseconds horizon_;
  Ledger ledger_;
};

}  // namespace ecld::offload
