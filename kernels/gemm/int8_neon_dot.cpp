// int8_neon.h with the dot product instruction of Armv8.2 (sdot), which most processors have since 2018.

#if defined(__aarch64__)

#include <arm_neon.h>
#include <sys/auxv.h>

#define ECLD_TARGET __attribute__((target("arch=armv8.2-a+dotprod")))
#define ECLD_INLINE ECLD_TARGET inline __attribute__((always_inline))

namespace ecld {
namespace {

constexpr int kRows = 4;

template <int kLane>
ECLD_INLINE int32x4_t AddDots(int32x4_t sums, int8x16_t codes, int8x16_t inputs) {
  return vdotq_laneq_s32(sums, codes, inputs, kLane);
}

}  // namespace
}  // namespace ecld

#include "kernels/gemm/int8_neon.h"

namespace ecld {

bool GemmInt8NeonDotSupports(const GemmArgs& args) {
  return GemmInt8Supports(args) && (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
}

void GemmInt8NeonDot(std::span<const GemmArgs> products, ThreadPool& pool, GemmScratch& scratch) {
  GemmInt8(kKernels, products, pool, scratch);
}

}  // namespace ecld

#endif
