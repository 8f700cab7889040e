#pragma once
// How nvcc launches a kernel that is an object: its arguments are its members, its constants say how many threads it
// has, Shape() how many blocks, and its call operator is the body.

#include "kernels/cuda/early.h"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/machine.cuh"

namespace ecld::cuda {

// One block on a multiprocessor is enough: else the assembler keeps registers in memory so that more blocks fit.
template <class Kernel>
__global__ void __launch_bounds__(Kernel::kThreads, 1) Entry(const Kernel kernel) {
  Gpu gpu;
  RunAfterPrevious(gpu, kernel);
}

template <class Kernel>
void QueueKernel(const Kernel& kernel, CudaStream stream) {
  const auto shape = kernel.Shape();
  const dim3 grid(shape.x, shape.y, shape.z);
  LaunchEarly(Entry<Kernel>, grid, Kernel::kThreads, shape.shared_bytes, stream, kernel);
}

// A step (steps.h) by the kernel that its WithKernel names. THROWS Error with this name where the launch fails.
template <class Step>
void QueueStep(const Step& step, CudaStream stream, const char* name) {
  WithKernel(step, [&](const auto& kernel) { QueueKernel(kernel, stream); });
  CheckLaunch(name);
}

}  // namespace ecld::cuda
