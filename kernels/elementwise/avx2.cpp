#if defined(__x86_64__)

#include "kernels/simd/avx2.h"

#include "kernels/elementwise/rows.h"

namespace ecld {

constinit const ElementwiseKernels kElementwiseAvx2 = KernelsOf("avx2");

}  // namespace ecld

#endif
