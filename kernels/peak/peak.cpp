#include "kernels/peak/peak.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include "kernels/simd/avx512_intrinsics.h"
#elif defined(__aarch64__)
#include <arm_neon.h>
#if defined(__linux__)
#include <sys/auxv.h>
#endif
#endif

namespace ecld {
namespace {

// More sums than a multiply-add takes cycles times the units that run it, and fewer than there are registers.
// They start from different numbers: equal ones a compiler would make one.
constexpr int kSums = 12;

bool Always() { return true; }

// Four lanes of the compiler's vector type, for any CPU.
void Portable(int64_t rounds, void* to) {
  using Vector = float __attribute__((vector_size(16)));
  Vector sums[kSums];
#pragma GCC unroll 16
  for (int i = 0; i < kSums; ++i) sums[i] = Vector{} + static_cast<float>(i);
  Vector factor = {0.5f, 0.25f, 0.125f, 1};
  for (int64_t round = 0; round < rounds; ++round) {
    __asm__("" : "+m"(factor));  // or all rounds would be worked out at once
#pragma GCC unroll 16
    for (Vector& sum : sums) sum += factor * factor;
  }
#pragma GCC unroll 16
  for (int i = 1; i < kSums; ++i) sums[0] += sums[i];
  std::memcpy(to, &sums[0], sizeof(Vector));
}

#if defined(__x86_64__)

bool HasAvx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
bool HasAvx512() { return __builtin_cpu_supports("avx512f"); }
bool HasBf16() { return __builtin_cpu_supports("avx512bf16"); }
bool HasVnni() { return __builtin_cpu_supports("avx512vnni"); }

__attribute__((target("avx2,fma"))) void Avx2(int64_t rounds, void* to) {
  __m256 sums[kSums];
#pragma GCC unroll 16
  for (int i = 0; i < kSums; ++i) sums[i] = _mm256_set1_ps(static_cast<float>(i));
  const __m256 factor = _mm256_set1_ps(0.5f);
  for (int64_t round = 0; round < rounds; ++round)
#pragma GCC unroll 16
    for (__m256& sum : sums) sum = _mm256_fmadd_ps(factor, factor, sum);
#pragma GCC unroll 16
  for (int i = 1; i < kSums; ++i) sums[0] = _mm256_add_ps(sums[0], sums[i]);
  std::memcpy(to, &sums[0], sizeof(__m256));
}

__attribute__((target("avx512f"))) void Avx512(int64_t rounds, void* to) {
  __m512 sums[kSums];
#pragma GCC unroll 16
  for (int i = 0; i < kSums; ++i) sums[i] = _mm512_set1_ps(static_cast<float>(i));
  const __m512 factor = _mm512_set1_ps(0.5f);
  for (int64_t round = 0; round < rounds; ++round)
#pragma GCC unroll 16
    for (__m512& sum : sums) sum = _mm512_fmadd_ps(factor, factor, sum);
#pragma GCC unroll 16
  for (int i = 1; i < kSums; ++i) sums[0] = _mm512_add_ps(sums[0], sums[i]);
  std::memcpy(to, &sums[0], sizeof(__m512));
}

__attribute__((target("avx512f,avx512bf16"))) void Avx512Bf16(int64_t rounds, void* to) {
  __m512 sums[kSums];
#pragma GCC unroll 16
  for (int i = 0; i < kSums; ++i) sums[i] = _mm512_set1_ps(static_cast<float>(i));
  const auto factor = (__m512bh)_mm512_set1_epi16(0x3f00);  // 0.5
  for (int64_t round = 0; round < rounds; ++round)
#pragma GCC unroll 16
    for (__m512& sum : sums) sum = _mm512_dpbf16_ps(sum, factor, factor);
#pragma GCC unroll 16
  for (int i = 1; i < kSums; ++i) sums[0] = _mm512_add_ps(sums[0], sums[i]);
  std::memcpy(to, &sums[0], sizeof(__m512));
}

__attribute__((target("avx512f,avx512vnni"))) void Avx512Vnni(int64_t rounds, void* to) {
  __m512i sums[kSums];
#pragma GCC unroll 16
  for (int i = 0; i < kSums; ++i) sums[i] = _mm512_set1_epi32(i);
  const __m512i factor = _mm512_set1_epi8(1);
  for (int64_t round = 0; round < rounds; ++round)
#pragma GCC unroll 16
    for (__m512i& sum : sums) sum = _mm512_dpbusd_epi32(sum, factor, factor);
#pragma GCC unroll 16
  for (int i = 1; i < kSums; ++i) sums[0] = _mm512_add_epi32(sums[0], sums[i]);
  std::memcpy(to, &sums[0], sizeof(__m512i));
}

#elif defined(__aarch64__)

bool HasDotProduct() {
#if defined(__linux__)
  constexpr unsigned long kAsimdDotProduct = 1ul << 20;  // HWCAP_ASIMDDP
  return (::getauxval(AT_HWCAP) & kAsimdDotProduct) != 0;
#else
  return false;
#endif
}

void Neon(int64_t rounds, void* to) {
  float32x4_t sums[kSums];
#pragma GCC unroll 16
  for (int i = 0; i < kSums; ++i) sums[i] = vdupq_n_f32(static_cast<float>(i));
  const float32x4_t factor = vdupq_n_f32(0.5f);
  for (int64_t round = 0; round < rounds; ++round)
#pragma GCC unroll 16
    for (float32x4_t& sum : sums) sum = vfmaq_f32(sum, factor, factor);
#pragma GCC unroll 16
  for (int i = 1; i < kSums; ++i) sums[0] = vaddq_f32(sums[0], sums[i]);
  std::memcpy(to, &sums[0], sizeof(float32x4_t));
}

__attribute__((target("arch=armv8.2-a+dotprod"))) void NeonDotProduct(int64_t rounds, void* to) {
  int32x4_t sums[kSums];
#pragma GCC unroll 16
  for (int i = 0; i < kSums; ++i) sums[i] = vdupq_n_s32(i);
  const int8x16_t factor = vdupq_n_s8(1);
  for (int64_t round = 0; round < rounds; ++round)
#pragma GCC unroll 16
    for (int32x4_t& sum : sums) sum = vdotq_s32(sum, factor, factor);
#pragma GCC unroll 16
  for (int i = 1; i < kSums; ++i) sums[0] = vaddq_s32(sums[0], sums[i]);
  std::memcpy(to, &sums[0], sizeof(int32x4_t));
}

#endif

// A vector of `lanes` sums, each of `products` products.
constexpr int64_t Operations(int64_t lanes, int64_t products) { return kSums * lanes * products * 2; }

constexpr std::array kLoops = {
#if defined(__x86_64__)
    PeakLoop{Arithmetic::kFloat32, HasAvx512, Operations(16, 1), Avx512},
    PeakLoop{Arithmetic::kFloat32, HasAvx2, Operations(8, 1), Avx2},
    PeakLoop{Arithmetic::kBf16Pairs, HasBf16, Operations(16, 2), Avx512Bf16},
    PeakLoop{Arithmetic::kInt8Fours, HasVnni, Operations(16, 4), Avx512Vnni},
#elif defined(__aarch64__)
    PeakLoop{Arithmetic::kFloat32, Always, Operations(4, 1), Neon},
    PeakLoop{Arithmetic::kInt8Fours, HasDotProduct, Operations(4, 4), NeonDotProduct},
#endif
    PeakLoop{Arithmetic::kFloat32, Always, Operations(4, 1), Portable},
};

}  // namespace

std::span<const PeakLoop> PeakLoops() { return kLoops; }

}  // namespace ecld
