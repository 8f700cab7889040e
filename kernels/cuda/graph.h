#pragma once
// Work queued once and run often: a CUDA graph. Its kernels read what changes from memory of the device.
//
//   CudaGraph graph;
//   graph.Record([&](CudaStream stream) { CudaGemm(args, device, stream); });
//   graph.Run();                                         // each time: queues all of it at once
//   graph.Wait();

#include <functional>
#include <memory>

#include "kernels/cuda/device.h"

namespace ecld {

class CudaGraph {
 public:
  CudaGraph();
  ~CudaGraph();
  CudaGraph(const CudaGraph&) = delete;
  CudaGraph& operator=(const CudaGraph&) = delete;

  // Calls queue twice: first to run what it puts into the stream, which loads kernels and libraries, as taking down may
  // not; then to take it down. THROWS Error when the driver refuses; what queue throws.
  void Record(const std::function<void(CudaStream stream)>& queue);

  // Queues the graph behind what it ran before; Wait returns when that is done. THROW Error when the driver refuses,
  // or when a kernel failed.
  void Run();
  void Wait();
  // Runs it once and waits: milliseconds between events on the device before and after. THROWS Error, as they do.
  double TimeMs();

 private:
  struct Handles;
  std::unique_ptr<Handles> handles_;
};

}  // namespace ecld
