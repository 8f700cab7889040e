#pragma once
// How kernels of kernels/cuda are launched.

#include <cuda_runtime.h>

#include "kernels/cuda/device.h"

namespace ecld::cuda {

// Queues the kernel so that, on devices that can (compute capability 9.0 on), it may start while the kernel ahead of it
// in the stream still runs ("programmatic dependent launch" of the CUDA programming guide). REQUIRES: every thread of
// the kernel calls Gpu::WaitForPrevious before it touches anything but weights. Can be captured in a graph.
template <class Parameter, class Argument>
void LaunchEarly(void (*kernel)(Parameter), dim3 grid, int threads, uint32_t shared_bytes, CudaStream stream,
                 const Argument& argument) {
  int device = 0, major = 0;
  cudaGetDevice(&device);
  cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device);
  cudaLaunchAttribute attribute;
  attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attribute.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config = {};
  config.gridDim = grid;
  config.blockDim = dim3(threads);
  config.dynamicSmemBytes = shared_bytes;
  config.stream = stream;
  config.attrs = &attribute;
  config.numAttrs = major >= 9 ? 1 : 0;
  cudaLaunchKernelEx(&config, kernel, argument);
}

}  // namespace ecld::cuda
