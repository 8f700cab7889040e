#include "kernels/decode/rows.h"

#include "kernels/cuda/entry.cuh"
#include "kernels/decode/dense.h"

namespace ecld::cuda {
namespace {

template <class Step>
void Start(const Step& step, CudaStream stream, const char* name) {
  WithKernel(step, [&](const auto& kernel) { QueueKernel(kernel, stream); });
  CheckLaunch(name);
}

}  // namespace

void Queue(const GatherStep& step, CudaStream stream) { Start(step, stream, "gather"); }
void Queue(const NormStep& step, CudaStream stream) { Start(step, stream, "norm"); }
void Queue(const GateStep& step, CudaStream stream) { Start(step, stream, "gate"); }
void Queue(const ArgmaxStep& step, CudaStream stream) { Start(step, stream, "argmax"); }
void Queue(const DenseStep& step, CudaStream stream) { Start(step, stream, "dense"); }

}  // namespace ecld::cuda
