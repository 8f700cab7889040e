#pragma once
// Vectors of floats for the sources that are compiled once for each instruction set; see kernels/simd/README.md.
// This one: AVX-512 (F, BW, VL).

#include <cstdint>

#include "kernels/simd/avx512_intrinsics.h"

#define ECLD_TARGET __attribute__((target("avx512f,avx512bw,avx512vl,fma,f16c")))

namespace ecld {
namespace {

using Vector = __m512;
constexpr int64_t kLanes = 16;
constexpr int kAccumulators = 16;  // vectors that a product may sum up in at once

inline bool CpuHasVectors() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}

ECLD_TARGET inline __mmask16 FirstLanes(int64_t count) {
  return static_cast<__mmask16>(count >= kLanes ? 0xffff : count <= 0 ? 0 : (1u << count) - 1);
}

ECLD_TARGET inline Vector Set(float value) { return _mm512_set1_ps(value); }
ECLD_TARGET inline Vector Load(const float* from) { return _mm512_loadu_ps(from); }
ECLD_TARGET inline Vector Load(const uint16_t* half) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(half)));
}
ECLD_TARGET inline Vector Load(const int8_t* from) {
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
}
// The low and the high four bits of bytes, less 7.5.
ECLD_TARGET inline __m512i LoadBytes(const uint8_t* from) {
  return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}
ECLD_TARGET inline Vector LessMiddle(__m512i codes) {
  return _mm512_permutexvar_ps(codes, _mm512_setr_ps(-7.5f, -6.5f, -5.5f, -4.5f, -3.5f, -2.5f, -1.5f, -0.5f, 0.5f, 1.5f,
                                                     2.5f, 3.5f, 4.5f, 5.5f, 6.5f, 7.5f));
}
ECLD_TARGET inline Vector LoadLow(const uint8_t* from) { return LessMiddle(LoadBytes(from)); }
ECLD_TARGET inline Vector LoadHigh(const uint8_t* from) { return LessMiddle(_mm512_srli_epi32(LoadBytes(from), 4)); }
ECLD_TARGET inline Vector LoadFirst(const float* from, int64_t count) {
  return _mm512_maskz_loadu_ps(FirstLanes(count), from);
}
ECLD_TARGET inline void Store(float* to, Vector v) { _mm512_storeu_ps(to, v); }
ECLD_TARGET inline void StoreFirst(float* to, int64_t count, Vector v) {
  _mm512_mask_storeu_ps(to, FirstLanes(count), v);
}
ECLD_TARGET inline void Store(uint16_t* half, Vector v) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(half),
                      _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
// Rounded to the nearest integer; values must lie in [-128, 127].
ECLD_TARGET inline void Store(int8_t* to, Vector v) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(v)));
}
ECLD_TARGET inline Vector Fma(Vector a, Vector b, Vector c) { return _mm512_fmadd_ps(a, b, c); }
// Max and Min: b where either is NaN.
ECLD_TARGET inline Vector Max(Vector a, Vector b) { return _mm512_max_ps(a, b); }
ECLD_TARGET inline Vector Min(Vector a, Vector b) { return _mm512_min_ps(a, b); }
ECLD_TARGET inline Vector Abs(Vector v) { return _mm512_abs_ps(v); }
ECLD_TARGET inline Vector Round(Vector v) { return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT); }
// value * 2^exponent for integer exponents in [-126, 127].
ECLD_TARGET inline Vector TimesPowerOfTwo(Vector value, Vector exponent) { return _mm512_scalef_ps(value, exponent); }
// value where x >= bound or x is NaN, elsewhere 0.
ECLD_TARGET inline Vector ZeroBelow(Vector value, Vector x, Vector bound) {
  return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, bound, _CMP_NLT_UQ), value);
}
// Lanes [first, end) of v, elsewhere other.
ECLD_TARGET inline Vector KeepLanes(Vector v, int64_t first, int64_t end, Vector other) {
  return _mm512_mask_mov_ps(other, static_cast<__mmask16>(FirstLanes(end) & ~FirstLanes(first)), v);
}
ECLD_TARGET inline float Sum(Vector v) { return _mm512_reduce_add_ps(v); }
ECLD_TARGET inline float Largest(Vector v) { return _mm512_reduce_max_ps(v); }

}  // namespace
}  // namespace ecld
