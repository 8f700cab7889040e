#pragma once
// The bare engine of a discrete-event simulation: a clock in whole nanoseconds and what is to happen, earliest first.
// Events of one time come in the order in which they were added, so that a run is the same on every machine.

#include <cassert>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

namespace ecld::offload {

using Nanoseconds = int64_t;

inline constexpr double kNsPerSecond = 1e9;
inline constexpr Nanoseconds kLongestNs = INT64_MAX / 4;  // 73 years: sums of two stay in range

inline double Seconds(Nanoseconds ns) { return static_cast<double>(ns) / kNsPerSecond; }
// Rounded to the nearest; at most kLongestNs. REQUIRES: 0 or more, not NaN.
inline Nanoseconds FromSeconds(double seconds) {
  assert(seconds >= 0);
  const double ns = seconds * kNsPerSecond;
  return ns < static_cast<double>(kLongestNs) ? std::llround(ns) : kLongestNs;
}

template <class Event>
class EventQueue {
 public:
  Nanoseconds now() const { return now_; }
  bool empty() const { return heap_.empty(); }
  uint64_t handled() const { return handled_; }

  // REQUIRES: at is not in the past.
  void Add(Nanoseconds at, Event event) {
    assert(at >= now_);
    heap_.push_back({at, sequence_++, std::move(event)});
    Rise(heap_.size() - 1);
  }

  // The earliest event; the clock moves to its time. REQUIRES: not empty.
  Event Next() {
    Entry first = std::move(heap_.front());
    Entry last = std::move(heap_.back());
    heap_.pop_back();
    if (!heap_.empty()) Sink(std::move(last));
    now_ = first.at;
    ++handled_;
    return std::move(first.event);
  }

 private:
  struct Entry {
    Nanoseconds at;
    uint64_t sequence;
    Event event;

    bool Before(const Entry& other) const { return at != other.at ? at < other.at : sequence < other.sequence; }
  };

  void Rise(size_t at) {
    Entry entry = std::move(heap_[at]);
    while (at > 0) {
      const size_t parent = (at - 1) / 2;
      if (!entry.Before(heap_[parent])) break;
      heap_[at] = std::move(heap_[parent]);
      at = parent;
    }
    heap_[at] = std::move(entry);
  }

  // Puts an entry where the first one was.
  void Sink(Entry entry) {
    size_t at = 0;
    for (size_t child = 1; child < heap_.size(); child = 2 * at + 1) {
      if (child + 1 < heap_.size() && heap_[child + 1].Before(heap_[child])) ++child;
      if (!heap_[child].Before(entry)) break;
      heap_[at] = std::move(heap_[child]);
      at = child;
    }
    heap_[at] = std::move(entry);
  }

  std::vector<Entry> heap_;
  Nanoseconds now_ = 0;
  uint64_t sequence_ = 0, handled_ = 0;
};

}  // namespace ecld::offload
