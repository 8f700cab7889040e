#include "kernels/cuda/graph.h"

#include "core/error.h"

#if ECLD_HAS_CUDA
#include <cuda_runtime_api.h>
#endif

namespace ecld {

#if ECLD_HAS_CUDA
namespace {

void Check(cudaError_t status, const char* what) {
  if (status != cudaSuccess) Fail("CUDA", "{}: {}", what, cudaGetErrorString(status));
}

}  // namespace

CudaGraph::~CudaGraph() {
  if (graph_ != nullptr) cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(graph_));
  if (stream_ != nullptr) cudaStreamDestroy(stream_);
}

void CudaGraph::Record(const std::function<void(CudaStream stream)>& queue) {
  if (stream_ == nullptr) Check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "a stream");
  cudaGraph_t graph = nullptr;
  Check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), "the beginning of a graph");
  try {
    queue(stream_);
  } catch (...) {
    cudaStreamEndCapture(stream_, &graph);
    if (graph != nullptr) cudaGraphDestroy(graph);
    throw;
  }
  Check(cudaStreamEndCapture(stream_, &graph), "the end of a graph");
  cudaGraphExec_t made = nullptr;
  const cudaError_t status = cudaGraphInstantiate(&made, graph, 0);
  cudaGraphDestroy(graph);
  Check(status, "a graph");
  if (graph_ != nullptr) cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(graph_));
  graph_ = made;
}

void CudaGraph::Run() { Check(cudaGraphLaunch(static_cast<cudaGraphExec_t>(graph_), stream_), "a graph's launch"); }

void CudaGraph::Wait() { Check(cudaStreamSynchronize(stream_), "a graph's run"); }

#else

CudaGraph::~CudaGraph() = default;
void CudaGraph::Record(const std::function<void(CudaStream stream)>&) {
  Fail("CUDA", "this program was built without CUDA; configure with -DECLD_CUDA=ON");
}
void CudaGraph::Run() {}
void CudaGraph::Wait() {}

#endif

}  // namespace ecld
