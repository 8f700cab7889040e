#pragma once
// Work queued once and run often: a CUDA graph. Its kernels read what changes from memory of the device.
//
//   CudaGraph graph;
//   graph.Record([&](CudaStream stream) { CudaGemm(args, device, stream); });
//   graph.Run();                                         // each time: queues all of it at once
//   graph.Wait();

#include <functional>

#include "kernels/cuda/device.h"

namespace ecld {

class CudaGraph {
 public:
  CudaGraph() = default;
  ~CudaGraph();
  CudaGraph(const CudaGraph&) = delete;
  CudaGraph& operator=(const CudaGraph&) = delete;

  // Takes down what queue puts into the stream, and runs none of it. THROWS Error when the driver refuses.
  void Record(const std::function<void(CudaStream stream)>& queue);

  // Queues the graph behind what it ran before; Wait returns when that is done. THROW Error when the driver refuses,
  // or when a kernel failed.
  void Run();
  void Wait();

 private:
  CudaStream stream_ = nullptr;
  void* graph_ = nullptr;  // cudaGraphExec_t
};

}  // namespace ecld
