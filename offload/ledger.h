#pragma once
// The books of a run: who came and went, and what the limits are owed.

#include <vector>

#include "offload/simulator.h"

namespace ecld::offload {

class Ledger {
 public:
  Ledger(const World& world, const RunOptions& options);

  uint64_t Arrived(Nanoseconds now);  // returns the number of the request
  void Done(const RequestRecord& record);
  // The times of samples that have come since the last event: what is there has been so since then.
  template <class Take>
  void Sample(Nanoseconds now, const Take& take) {
    while (next_sample_ <= now && samples_ && samples_->size() < sample_count_) {
      QueueSample sample = take();
      sample.at_s = Seconds(next_sample_);
      samples_->push_back(sample);
      next_sample_ += sample_step_;
    }
  }

  // The integral of the requests under way: what their latencies are so far.
  double under_way_s(Nanoseconds now) const {
    const double since_ns = static_cast<double>(run_.arrived - run_.completed) * static_cast<double>(now - last_);
    return (static_cast<double>(under_way_ns_) + since_ns) / kNsPerSecond;
  }
  // Virtual queues: what the mean so far lacks of a limit, summed, and never below 0.
  double accuracy_debt() const { return accuracy_debt_; }
  double hallucination_debt() const { return hallucination_debt_; }

  RunResult Result() const;

 private:
  // Wide enough for any run's sum of nanoseconds.
  __extension__ using Wide = unsigned __int128;

  struct OfDevice {
    double joules = 0;
    int64_t requests = 0;
  };

  void Pass(Nanoseconds now);
  void Judge(const RequestRecord& record, bool in_time);

  const World& world_;
  Nanoseconds warmup_;
  RunResult run_;
  std::vector<OfDevice> devices_;
  double accuracy_debt_ = 0, hallucination_debt_ = 0;
  Nanoseconds last_ = 0;
  Wide under_way_ns_ = 0, latencies_ns_ = 0;
  std::vector<QueueSample>* samples_;
  size_t sample_count_;
  Nanoseconds sample_step_ = 0, next_sample_ = 0;
};

}  // namespace ecld::offload
