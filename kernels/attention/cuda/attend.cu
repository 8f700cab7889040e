#include "kernels/attention/cuda/attend.h"

#include "kernels/cuda/entry.cuh"

namespace ecld::cuda {

void Queue(const AttendStep& step, CudaStream stream) { QueueStep(step, stream, "attend"); }

}  // namespace ecld::cuda
