#include "kernels/cuda/timed_graph.h"

#include <memory>

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

struct TimedGraph::Handles {
  cudaStream_t stream = nullptr;
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  cudaEvent_t begin = nullptr, end = nullptr;

  ~Handles() {
    if (begin != nullptr) cudaEventDestroy(begin);
    if (end != nullptr) cudaEventDestroy(end);
    if (executable != nullptr) cudaGraphExecDestroy(executable);
    if (graph != nullptr) cudaGraphDestroy(graph);
    if (stream != nullptr) cudaStreamDestroy(stream);
  }
};

TimedGraph::TimedGraph(const std::function<void(CudaStream)>& record) {
  auto handles = std::make_unique<Handles>();
  Check(cudaStreamCreateWithFlags(&handles->stream, cudaStreamNonBlocking), "a stream");
  Check(cudaEventCreate(&handles->begin), "an event");
  Check(cudaEventCreate(&handles->end), "an event");
  record(handles->stream);
  Check(cudaStreamSynchronize(handles->stream), "what a graph is made of");
  Check(cudaStreamBeginCapture(handles->stream, cudaStreamCaptureModeThreadLocal), "the capture of a graph");
  try {
    record(handles->stream);
  } catch (...) {
    cudaStreamEndCapture(handles->stream, &handles->graph);
    cudaGetLastError();
    throw;
  }
  Check(cudaStreamEndCapture(handles->stream, &handles->graph), "the capture of a graph");
  Check(cudaGraphInstantiate(&handles->executable, handles->graph, 0), "a graph");
  handles_ = handles.release();
}

TimedGraph::~TimedGraph() { delete handles_; }

double TimedGraph::ReplayMs() {
  Check(cudaEventRecord(handles_->begin, handles_->stream), "an event");
  Check(cudaGraphLaunch(handles_->executable, handles_->stream), "a graph");
  Check(cudaEventRecord(handles_->end, handles_->stream), "an event");
  Check(cudaEventSynchronize(handles_->end), "a graph");
  float ms = 0;
  Check(cudaEventElapsedTime(&ms, handles_->begin, handles_->end), "the time of a graph");
  return ms;
}
#else
TimedGraph::TimedGraph(const std::function<void(CudaStream)>&) : handles_(nullptr) {
  Fail("CUDA", "this program was built without CUDA; configure with -DECLD_CUDA=ON");
}
TimedGraph::~TimedGraph() = default;
double TimedGraph::ReplayMs() { return 0; }
#endif

}  // namespace ecld
