#include "kernels/decode/attend.h"

#include "kernels/cuda/entry.cuh"
#include "kernels/decode/rotate.h"

namespace ecld::cuda {

void Queue(const RotateStep& step, CudaStream stream) {
  WithKernel(step, [&](const auto& kernel) { QueueKernel(kernel, stream); });
  CheckLaunch("rotate");
}

void Queue(const AttendStep& step, CudaStream stream) {
  WithKernel(step, [&](const auto& kernel) { QueueKernel(kernel, stream); });
  CheckLaunch("attend");
}

}  // namespace ecld::cuda
