#pragma once
// The simplest model on the bare engine: one server, arrivals at random, services of a given law, first come first
// served. For the closed forms, and for the bench beside other engines.

#include <deque>

#include "offload/event_queue.h"
#include "offload/streams.h"

namespace ecld::offload {

struct SingleQueueResult {
  double mean_wait_s = 0;
  int64_t served = 0;
  uint64_t events = 0;
};

// service(random): seconds of one customer. Waits are those of all customers of the run.
template <class Service>
SingleQueueResult RunSingleQueue(double arrivals_per_s, int64_t customers, uint64_t seed, const Service& service) {
  enum class Happens { kArrival, kDeparture };
  EventQueue<Happens> queue;
  Random arrivals = StreamOf(seed, Draws::kArrivals, 0), services = StreamOf(seed, Draws::kItems, 0);
  std::deque<Nanoseconds> waiting;
  bool busy = false;
  int64_t arrived = 0, served = 0;
  double wait_s = 0;
  const auto serve = [&](Nanoseconds since) {
    wait_s += Seconds(queue.now() - since);
    queue.Add(queue.now() + FromSeconds(service(services)), Happens::kDeparture);
  };
  queue.Add(FromSeconds(Exponential(arrivals, 1 / arrivals_per_s)), Happens::kArrival);
  while (!queue.empty()) {
    if (queue.Next() == Happens::kArrival) {
      if (++arrived < customers)
        queue.Add(queue.now() + FromSeconds(Exponential(arrivals, 1 / arrivals_per_s)), Happens::kArrival);
      if (busy) {
        waiting.push_back(queue.now());
      } else {
        busy = true;
        serve(queue.now());
      }
    } else {
      ++served;
      busy = !waiting.empty();
      if (!busy) continue;
      const Nanoseconds since = waiting.front();
      waiting.pop_front();
      serve(since);
    }
  }
  return {.mean_wait_s = wait_s / static_cast<double>(served), .served = served, .events = queue.handled()};
}

}  // namespace ecld::offload
