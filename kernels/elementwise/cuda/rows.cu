#include "kernels/elementwise/cuda/rows.h"

#include "kernels/cuda/entry.cuh"
#include "kernels/elementwise/cuda/rotate.h"

namespace ecld::cuda {

void Queue(const GatherStep& step, CudaStream stream) { QueueStep(step, stream, "gather"); }
void Queue(const NormStep& step, CudaStream stream) { QueueStep(step, stream, "norm"); }
void Queue(const GateStep& step, CudaStream stream) { QueueStep(step, stream, "gate"); }
void Queue(const ArgmaxStep& step, CudaStream stream) { QueueStep(step, stream, "argmax"); }
void Queue(const RotateStep& step, CudaStream stream) { QueueStep(step, stream, "rotate"); }

}  // namespace ecld::cuda
