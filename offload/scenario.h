#pragma once
// A scenario as it is written: who asks, what may answer, what lies between, what must hold. YAML of version 1; an
// unknown key, a value out of range or a newer version is an Error with file, line and path. No file that it names is
// opened here (world.h does).

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "offload/arrivals.h"
#include "offload/decide.h"
#include "offload/networks.h"

namespace ecld::offload {

struct ModelSpec {
  std::string profile;  // directory
  std::string as;       // a device of the catalogue whose times are modelled; empty: those of the profile
  std::string where;    // for errors
};

struct DeviceSpec {
  std::string name;
  int64_t count = 1;
  std::vector<ModelSpec> variants;  // the first is the one that policies which do not choose run
  double memory_B = 0;
  std::optional<double> power_W;          // while it runs, where the profile has no energy
  double send_W = 0;                      // while it sends
  std::optional<double> energy_budget_J;  // of a request, in the mean of each device
};

struct ServerSpec {
  std::string name;
  ModelSpec model;
  int64_t batch = 1;
  double cache_B = 0;  // for the caches of what runs
};

struct ItemSpec {
  std::vector<std::string> tasks;  // none: requests are about nothing, and right or wrong is not known
  std::string uncertainty;         // the aggregate
  bool foretold = false;           // it is known when the request comes
  double calibration_share = 0.5;  // of the items, which no request asks about
  std::string where;
};

struct Limits {
  std::optional<double> accuracy, hallucination, deadline_s;
};

struct Scenario {
  std::string file, sha256, name;
  uint64_t seed = 1;
  int64_t replications = 20;
  double horizon_s = 0, warmup_s = 0, epoch_s = 0;
  double outside_share = 0;  // of look-ups outside the measured grids, above which a result is refused
  double B_per_tok = 0;      // of a prompt and an answer on their way
  std::vector<DeviceSpec> devices;
  std::vector<ServerSpec> servers;
  std::string network_kind, requests_kind;
  LoadNetwork network;
  double link_known_after_s = 0;  // what policies are shown of a link is how it was so long ago
  LoadRequests requests;
  ItemSpec items;
  Limits limits;
  Weights weights;
  std::vector<std::string> policies;
  std::string resolved;  // the YAML with every default filled in
};

inline constexpr int64_t kMostDevices = 100'000, kMostBatch = 4096;

// overrides: "devices.0.count=50", as ApplyOverride takes them. THROWS Error.
Scenario ParseScenario(std::string_view yaml, const std::string& where, const std::vector<std::string>& overrides = {});
Scenario ReadScenario(const std::string& file, const std::vector<std::string>& overrides = {});

}  // namespace ecld::offload
