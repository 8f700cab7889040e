#include "kernels/cuda/graph.h"

#include "core/error.h"

#if ECLD_HAS_CUDA
#include "kernels/cuda/check.h"
#endif

namespace ecld {

#if ECLD_HAS_CUDA

using cuda::Check;

struct CudaGraph::Handles {
  cudaStream_t stream = nullptr;
  cudaGraphExec_t graph = nullptr;
  cudaEvent_t begin = nullptr, end = nullptr;

  Handles() = default;
  Handles(const Handles&) = delete;
  Handles& operator=(const Handles&) = delete;
  ~Handles() {
    if (begin != nullptr) cudaEventDestroy(begin);
    if (end != nullptr) cudaEventDestroy(end);
    if (graph != nullptr) cudaGraphExecDestroy(graph);
    if (stream != nullptr) cudaStreamDestroy(stream);
  }
};

void CudaGraph::Record(const std::function<void(CudaStream stream)>& queue) {
  handles_ = std::make_unique<Handles>();
  Check(cudaStreamCreateWithFlags(&handles_->stream, cudaStreamNonBlocking), "a stream");
  Check(cudaEventCreate(&handles_->begin), "an event");
  Check(cudaEventCreate(&handles_->end), "an event");
  queue(handles_->stream);
  Wait();
  cudaGraph_t taken = nullptr;
  Check(cudaStreamBeginCapture(handles_->stream, cudaStreamCaptureModeThreadLocal), "the beginning of a graph");
  try {
    queue(handles_->stream);
  } catch (...) {
    cudaStreamEndCapture(handles_->stream, &taken);
    cudaGetLastError();  // else the next call would report it
    if (taken != nullptr) cudaGraphDestroy(taken);
    throw;
  }
  Check(cudaStreamEndCapture(handles_->stream, &taken), "the end of a graph");
  const cudaError_t status = cudaGraphInstantiate(&handles_->graph, taken, 0);
  cudaGraphDestroy(taken);
  Check(status, "a graph");
}

void CudaGraph::Run() { Check(cudaGraphLaunch(handles_->graph, handles_->stream), "a graph's launch"); }

void CudaGraph::Wait() { Check(cudaStreamSynchronize(handles_->stream), "a graph's run"); }

double CudaGraph::TimeMs() {
  Check(cudaEventRecord(handles_->begin, handles_->stream), "an event");
  Run();
  Check(cudaEventRecord(handles_->end, handles_->stream), "an event");
  Check(cudaEventSynchronize(handles_->end), "a graph's run");
  float ms = 0;
  Check(cudaEventElapsedTime(&ms, handles_->begin, handles_->end), "the time of a graph");
  return ms;
}

#else

struct CudaGraph::Handles {};
void CudaGraph::Record(const std::function<void(CudaStream stream)>&) {
  Fail("CUDA", "this program was built without CUDA; configure with -DECLD_CUDA=ON");
}
void CudaGraph::Run() {}
void CudaGraph::Wait() {}
double CudaGraph::TimeMs() { return 0; }

#endif

CudaGraph::CudaGraph() = default;
CudaGraph::~CudaGraph() = default;

}  // namespace ecld
