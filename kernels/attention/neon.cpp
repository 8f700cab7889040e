#if defined(__aarch64__)

#include "kernels/simd/neon.h"

#include "kernels/attention/blocks.h"

namespace ecld {

constinit const AttentionImplementation kAttentionNeon = AttentionOf("neon");

}  // namespace ecld

#endif
