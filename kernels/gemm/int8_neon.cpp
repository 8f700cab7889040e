// int8_neon.h for 64-bit Arm processors without the dot product instruction.

#if defined(__aarch64__)

#include <arm_neon.h>

#define ECLD_TARGET
#define ECLD_INLINE inline __attribute__((always_inline))

namespace ecld {
namespace {

constexpr int kRows = 2;

template <int kLane>
ECLD_INLINE int32x4_t AddDots(int32x4_t sums, int8x16_t codes, int8x16_t inputs) {
  const int8x16_t four = vreinterpretq_s8_s32(vdupq_laneq_s32(vreinterpretq_s32_s8(inputs), kLane));
  // Two products are at most 2 * 128 * 127, which 16 bits hold.
  const int16x8_t low = vmull_s8(vget_low_s8(codes), vget_low_s8(four)), high = vmull_high_s8(codes, four);
  return vpadalq_s16(sums, vpaddq_s16(low, high));
}

}  // namespace
}  // namespace ecld

#include "kernels/gemm/int8_neon.h"

namespace ecld {

void GemmInt8Neon(std::span<const GemmArgs> products, ThreadPool& pool, GemmScratch& scratch) {
  GemmInt8(kKernels, products, pool, scratch);
}

}  // namespace ecld

#endif
