#include "kernels/gemm/cuda/dense_step.h"

#include "kernels/cuda/entry.cuh"

namespace ecld::cuda {

void Queue(const DenseStep& step, CudaStream stream) { QueueStep(step, stream, "dense"); }

}  // namespace ecld::cuda
