#include "kernels/elementwise/elementwise.h"

#include <array>

namespace ecld {

std::span<const ElementwiseKernels> ElementwiseImplementations() {
  static const std::array kernels = {
#if defined(__x86_64__)
    kElementwiseAvx512,
    kElementwiseAvx2,
#elif defined(__aarch64__)
    kElementwiseNeon,
#endif
    kElementwisePortable
  };
  return kernels;
}

const ElementwiseKernels& Elementwise() {
  static const ElementwiseKernels& chosen = []() -> const ElementwiseKernels& {
    for (const ElementwiseKernels& candidate : ElementwiseImplementations())
      if (candidate.supports()) return candidate;
    return kElementwisePortable;
  }();
  return chosen;
}

}  // namespace ecld
