#if defined(__x86_64__)

#include "kernels/simd/avx512.h"

#include "kernels/elementwise/rows.h"

namespace ecld {

constinit const ElementwiseKernels kElementwiseAvx512 = KernelsOf("avx512");

}  // namespace ecld

#endif
