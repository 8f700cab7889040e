#pragma once
// The three places where a request spends time: a device, which runs one at a time; the band of a server, which all who
// send share; a server, which batches continuously. Each is told of arrivals, says when it wants to be asked next, and
// then gives back the requests that are through. None knows of the others, or of what is decided.

#include <algorithm>
#include <cstdint>
#include <deque>
#include <vector>

#include "offload/networks.h"
#include "offload/phase_times.h"

namespace ecld::offload {

using RequestId = uint32_t;

class Station {
 public:
  Nanoseconds next() const { return next_; }        // kLongestNs: nothing is under way
  Nanoseconds busy_ns() const { return busy_ns_; }  // of the time up to the last event

 protected:
  // Between two events, before the state changes.
  void Pass(Nanoseconds now, bool busy) {
    if (busy) busy_ns_ += now - last_;
    last_ = now;
  }

  Nanoseconds next_ = kLongestNs, last_ = 0;

 private:
  Nanoseconds busy_ns_ = 0;
};

// First come, first served; what goes on with an answer begun comes first. Changing to another variant takes load_s of
// it before it runs.
class DeviceStation : public Station {
 public:
  struct Job {
    RequestId request = 0;
    int variant = 0;
    double run_s = 0;
    double expected_s = 0;  // what a policy may know of run_s
  };

  explicit DeviceStation(std::vector<double> load_s) : load_s_(std::move(load_s)) {}

  void Submit(const Job& job, bool first, Nanoseconds now);
  // The request that is through; Resume then goes on with the next. REQUIRES: now is next().
  RequestId Proceed(Nanoseconds now);
  void Resume(Nanoseconds now);
  // Until what is here is expected to be through, and this variant then loaded.
  double WaitSeconds(int variant, Nanoseconds now) const;
  size_t jobs() const { return queue_.size() + (runs_ ? 1 : 0); }

 private:
  double LoadSeconds(int from, int to) const { return from == to ? 0 : load_s_[static_cast<size_t>(to)]; }

  std::vector<double> load_s_;
  std::deque<Job> queue_;
  Job running_;
  bool runs_ = false;
  int resident_ = 0;      // the variant that is loaded, or being loaded
  double waiting_s_ = 0;  // that what is in the queue is expected to run
  Nanoseconds expected_end_ = 0;
};

// Uploads in one band at rates that change as others come and go and as links do.
class BandStation : public Station {
 public:
  explicit BandStation(Network* network) : network_(network) {}

  void Submit(RequestId request, size_t device, size_t server, double bits, Nanoseconds now);
  // Those that are through, appended. REQUIRES: now is next().
  void Proceed(Nanoseconds now, std::vector<RequestId>* sent);
  size_t senders() const { return uploads_.size(); }

 private:
  struct Upload {
    RequestId request;
    size_t device, server;
    double left_bits, bps;
  };

  void Send(Nanoseconds now);
  void Plan(Nanoseconds now);

  Network* network_;
  std::vector<Upload> uploads_;
};

// Continuous batching as in Orca (Yu et al. 2022): at the end of each step those that are done leave and those that
// wait join, as far as the batch and the memory for caches allow. A prompt runs by itself, and the others stand still
// meanwhile; a step takes what the phase table says of the batch at the mean context of its members. Steps between two
// changes of the batch are one event, whose step is that of their middle.
class BatchStation : public Station {
 public:
  struct Job {
    RequestId request = 0;
    int64_t prompt_tok = 1, answer_tok = 0;
  };

  BatchStation(PhaseTimes* times, int64_t batch, double cache_B) : times_(times), batch_(batch), cache_B_(cache_B) {}

  void Submit(const Job& job, Nanoseconds now);
  void Proceed(Nanoseconds now, std::vector<RequestId>* answered);
  size_t running() const { return running_.size() + (prompting_ ? 1 : 0); }
  size_t waiting() const { return queue_.size() - (prompting_ ? 1 : 0); }
  double waiting_prompts_s() const { return waiting_prompts_s_; }

 private:
  struct Running {
    int64_t last_step;  // of the server, after which it is done
    RequestId request;
    int64_t ctx_less_step;  // tokens in its cache less the server's steps
    double cache_B;

    bool operator>(const Running& other) const {
      return last_step != other.last_step ? last_step > other.last_step : request > other.request;
    }
  };

  double CacheBytes(const Job& job) const;
  bool Admits() const;
  void Plan(Nanoseconds now);
  void Join();

  PhaseTimes* times_;
  int64_t batch_;
  double cache_B_, used_B_ = 0;
  std::deque<Job> queue_;         // the first one's prompt runs, where prompting_
  std::vector<Running> running_;  // a heap, the first to be done first
  bool prompting_ = false;
  int64_t step_ = 0, planned_steps_ = 0, ctx_less_step_ = 0;  // ctx_less_step_: sum over running_
  Nanoseconds planned_at_ = 0, step_ns_ = 0;
  double waiting_prompts_s_ = 0;
};

}  // namespace ecld::offload
