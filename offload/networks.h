#pragma once
// What lies between a device and a server, over time. One table of kinds; each reads its own part of a scenario. A link
// changes only from one step to the next, by its own stream of random numbers, so that it takes the same course whoever
// looks at it.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>

#include "core/options.h"
#include "offload/decide.h"
#include "offload/event_queue.h"

namespace ecld::offload {

struct NetworkSize {
  size_t devices = 0, servers = 0;
};

class Network {
 public:
  virtual ~Network() = default;
  // REQUIRES: of one link, now never goes back.
  virtual Link At(size_t device, size_t server, Nanoseconds now) = 0;
  // When any link may change next; kLongestNs: never.
  virtual Nanoseconds NextChange(Nanoseconds now) const = 0;
  // The band that a server's senders share; below the number of servers, from 0 on without gaps.
  virtual size_t BandOf(size_t server) const { return server; }
};

// A network that begins anew with a seed.
using StartNetwork = std::function<std::unique_ptr<Network>(const NetworkSize& size, uint64_t seed)>;
// Reads the files that the scenario names. THROWS Error.
using LoadNetwork = std::function<StartNetwork()>;

struct NetworkKind {
  std::string_view name, summary;
  LoadNetwork (*read)(Options& options);  // THROWS Error; opens no file
};

std::span<const NetworkKind> NetworkKinds();

}  // namespace ecld::offload
