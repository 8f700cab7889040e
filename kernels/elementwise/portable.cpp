#include "kernels/simd/portable.h"

#include "kernels/elementwise/rows.h"

namespace ecld {

constinit const ElementwiseKernels kElementwisePortable = KernelsOf("portable");

}  // namespace ecld
