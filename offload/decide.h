#pragma once
// The question that every driver asks (a simulator now, a gateway later) and every policy answers: of the requests that
// wait at this moment, which runs where? A policy is a pure function: the same question has the same answer, and what
// it may know is all in it. Seconds, joules and chances here are expected, not those that will be seen.

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <utility>

namespace ecld::offload {

class Contention;

// What a device would get on the way to a server if nobody else was sending.
struct Link {
  double up_bps = 0, down_bps = 0, rtt_s = 0;
  double band_Hz = 0, snr = 0;  // of a radio link whose band is shared: signal over the noise of the whole band
  bool shared = true;           // among those who send to the same server
  const Contention* contention = nullptr;  // of a link on Wi-Fi, which shares the air as it says
  double burst_bits = 0;                   // that one turn there carries; bits go in whole ones
};

// Bits per second of one of n senders: a share of the rate; on a radio link Shannon's rate of a share of the band,
// whose noise is less too; on Wi-Fi what contention leaves. REQUIRES: n of 1 or more.
double ShareOf(const Link& link, double n);
// By which the strongest link is found: its rate, and where rates end, what reserve it has.
inline std::pair<double, double> StrengthOf(const Link& link) { return {link.up_bps, link.snr}; }
// What is to be sent for these bits.
double BitsOnAir(const Link& link, double bits);

// What answering somewhere is expected to be worth; absent where no item tells.
struct Worth {
  std::optional<double> right, hallucinated;
};

struct LocalOption {  // one for each variant that the device may hold
  double wait_s = 0;  // until the device is free, and the variant loaded
  double run_s = 0;   // what is left to run: nothing where the device has answered already
  std::optional<double> joules;
  Worth worth;
};

struct RemoteOption {  // one for each server
  Link link;
  double up_bits = 0, down_bits = 0;
  double prompt_s = 0, answer_s = 0;  // alone on the server
  Worth worth;
};

struct Pending {
  uint64_t request = 0;
  std::span<const LocalOption> local;    // not empty
  std::span<const RemoteOption> remote;  // [servers]
  std::optional<double> uncertainty;     // of the device's first variant, where it is known
  double send_W = 0;                     // of the device while it sends
  double energy_debt_J = 0;              // the device's virtual queue
  double draw = 0;                       // in [0, 1): for policies that draw
};

struct ServerState {
  int64_t senders = 0;                   // on its band
  int64_t occupied = 0;                  // requests that run there, wait, or are on their way
  int64_t batch = 1;                     // that it may run at once
  double wait_s = 0;                     // until the prompts that wait there are through
  std::span<const double> stretch = {};  // [batch]: a step of 1, 2, ... requests over a step of one
};

struct Weights {
  double uncertainty = 1;  // a wait of the least sure counts 1 + this times as much (GOA, exhaustive)
  double threshold = 0.5;  // the chance of being right below which an answer is not good enough (threshold)
  double latency = 1;      // a second against the debts (drift-plus-penalty's V)
};

struct State {
  std::span<const ServerState> servers;
  Weights weights;
  double accuracy_debt = 0, hallucination_debt = 0;  // virtual queues
};

inline constexpr int kLocal = -1;

struct Decision {
  int place = kLocal;  // or a server
  int variant = 0;     // of the device, where it is local
};

// decisions[i] is of pending[i]. Pure: what it holds (a learned policy its weights) does not change.
using DecideFunction =
    std::function<void(std::span<const Pending> pending, const State& state, std::span<Decision> decisions)>;

// Expected seconds until the answer is there: here; on a server that k of the requests that are decided on now go to,
// this one among them. Infinite where nothing gets through.
double LocalDelay(const LocalOption& option);
double RemoteDelay(const Pending& pending, int server, int64_t k, const State& state);
// Expected joules of the device for it; sending only.
double SendJoules(const Pending& pending, int server, int64_t k, const State& state);

}  // namespace ecld::offload
