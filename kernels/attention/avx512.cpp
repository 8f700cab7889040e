#if defined(__x86_64__)

#include "kernels/simd/avx512.h"

#include "kernels/attention/blocks.h"

namespace ecld {

constinit const AttentionImplementation kAttentionAvx512 = AttentionOf("avx512");

}  // namespace ecld

#endif
