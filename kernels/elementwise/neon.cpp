#if defined(__aarch64__)

#include "kernels/simd/neon.h"

#include "kernels/elementwise/rows.h"

namespace ecld {

constinit const ElementwiseKernels kElementwiseNeon = KernelsOf("neon");

}  // namespace ecld

#endif
