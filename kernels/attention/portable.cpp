#include "kernels/simd/portable.h"

#include "kernels/attention/blocks.h"

namespace ecld {

constinit const AttentionImplementation kAttentionPortable = AttentionOf("portable");

}  // namespace ecld
