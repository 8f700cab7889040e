#if defined(__x86_64__)

#include "kernels/simd/avx2.h"

#include "kernels/attention/blocks.h"

namespace ecld {

constinit const AttentionImplementation kAttentionAvx2 = AttentionOf("avx2");

}  // namespace ecld

#endif
