#pragma once
// What the CUDA runtime says of a call. For sources of this folder in a build with CUDA.

#include <cuda_runtime_api.h>

#include "core/error.h"

namespace ecld::cuda {

// THROWS Error when the call did not succeed; what: of what it was, "a stream".
inline void Check(cudaError_t status, const char* what) {
  if (status != cudaSuccess) Fail("CUDA", "{}: {}", what, cudaGetErrorString(status));
}

}  // namespace ecld::cuda
