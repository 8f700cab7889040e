#pragma once
// Vectors of floats for the sources that are compiled once for each instruction set; see kernels/simd/README.md.
// This one: AVX2 with FMA and F16C.

#include <immintrin.h>

#include <cstdint>

#define ECLD_TARGET __attribute__((target("avx2,fma,f16c")))

namespace ecld {
namespace {

using Vector = __m256;
constexpr int64_t kLanes = 8;
constexpr int kAccumulators = 12;  // vectors that a product may sum up in at once

// Every processor with AVX2 has F16C, and not every compiler can ask for it.
inline bool CpuHasVectors() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

// All bits set in lanes below count.
ECLD_TARGET inline __m256i FirstLanes(int64_t count) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

ECLD_TARGET inline Vector Set(float value) { return _mm256_set1_ps(value); }
ECLD_TARGET inline Vector Load(const float* from) { return _mm256_loadu_ps(from); }
ECLD_TARGET inline Vector Load(const uint16_t* half) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(half)));
}
ECLD_TARGET inline Vector Load(const int8_t* from) {
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from))));
}
// The low and the high four bits of bytes, less 7.5.
ECLD_TARGET inline __m256i LoadBytes(const uint8_t* from) {
  return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)));
}
ECLD_TARGET inline Vector LoadLow(const uint8_t* from) {
  return _mm256_cvtepi32_ps(_mm256_and_si256(LoadBytes(from), _mm256_set1_epi32(15))) - _mm256_set1_ps(7.5f);
}
ECLD_TARGET inline Vector LoadHigh(const uint8_t* from) {
  return _mm256_cvtepi32_ps(_mm256_srli_epi32(LoadBytes(from), 4)) - _mm256_set1_ps(7.5f);
}
ECLD_TARGET inline Vector LoadFirst(const float* from, int64_t count) {
  return _mm256_maskload_ps(from, FirstLanes(count));
}
ECLD_TARGET inline void Store(float* to, Vector v) { _mm256_storeu_ps(to, v); }
ECLD_TARGET inline void StoreFirst(float* to, int64_t count, Vector v) {
  _mm256_maskstore_ps(to, FirstLanes(count), v);
}
ECLD_TARGET inline void Store(uint16_t* half, Vector v) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(half), _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}
// Rounded to the nearest integer; values must lie in [-128, 127].
ECLD_TARGET inline void Store(int8_t* to, Vector v) {
  const __m256i wide = _mm256_cvtps_epi32(v);
  const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_packs_epi16(words, words));
}
ECLD_TARGET inline Vector Fma(Vector a, Vector b, Vector c) { return _mm256_fmadd_ps(a, b, c); }
// Max and Min: b where either is NaN.
ECLD_TARGET inline Vector Max(Vector a, Vector b) { return _mm256_max_ps(a, b); }
ECLD_TARGET inline Vector Min(Vector a, Vector b) { return _mm256_min_ps(a, b); }
ECLD_TARGET inline Vector Abs(Vector v) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), v); }
ECLD_TARGET inline Vector Round(Vector v) { return _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
// value * 2^exponent for integer exponents in [-126, 127].
ECLD_TARGET inline Vector TimesPowerOfTwo(Vector value, Vector exponent) {
  const __m256i bits = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(exponent), _mm256_set1_epi32(127)), 23);
  return value * _mm256_castsi256_ps(bits);
}
// value where x >= bound or x is NaN, elsewhere 0.
ECLD_TARGET inline Vector ZeroBelow(Vector value, Vector x, Vector bound) {
  return _mm256_and_ps(value, _mm256_cmp_ps(x, bound, _CMP_NLT_UQ));
}
// Lanes [first, end) of v, elsewhere other.
ECLD_TARGET inline Vector KeepLanes(Vector v, int64_t first, int64_t end, Vector other) {
  const __m256i kept = _mm256_andnot_si256(FirstLanes(first), FirstLanes(end));
  return _mm256_blendv_ps(other, v, _mm256_castsi256_ps(kept));
}
ECLD_TARGET inline float Sum(Vector v) {
  __m128 half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  half = _mm_add_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}
ECLD_TARGET inline float Largest(Vector v) {
  __m128 half = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  half = _mm_max_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
}

}  // namespace
}  // namespace ecld
