#pragma once
// Work on the GPU captured once as a CUDA graph and replayed, timed by events on the device. Without CUDA there is
// none.

#include <functional>

#include "kernels/cuda/device.h"

namespace ecld {

class TimedGraph {
 public:
  // Calls record twice on one stream: first to run what it queues there, which loads kernels and libraries, then to
  // capture it. THROWS Error where something cannot be captured; what record throws.
  explicit TimedGraph(const std::function<void(CudaStream)>& record);
  ~TimedGraph();
  TimedGraph(const TimedGraph&) = delete;
  TimedGraph& operator=(const TimedGraph&) = delete;

  // Runs it once and waits. Milliseconds between events before and after.
  double ReplayMs();

 private:
  struct Handles;
  Handles* handles_;
};

}  // namespace ecld
