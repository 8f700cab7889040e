#pragma once
// Descriptions of matrices for tensor copies ("tensor maps" of the CUDA driver API), made by the driver of the machine,
// whose library is opened when one is first needed.

#include <cstddef>
#include <string>

#include "kernels/cuda/hopper.h"

namespace ecld::cuda {

// A CUtensorMap; passed to a kernel as a __grid_constant__ argument.
struct alignas(64) TensorMap {
  std::byte opaque[128];
};

// "" or which of the rules of cuTensorMapEncodeTiled the box breaks.
std::string TensorBoxProblem(const TensorBox& box);

// THROWS Error: TensorBoxProblem; there is no driver, or it has no tensor maps.
TensorMap EncodeTensorMap(const TensorBox& box);

}  // namespace ecld::cuda
