#pragma once
// Vectors of floats for the sources that are compiled once for each instruction set; see kernels/simd/README.md.
// This one: NEON, which every 64-bit Arm processor has.

#include <arm_neon.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

#define ECLD_TARGET

namespace ecld {
namespace {

using Vector = float32x4_t;
constexpr int64_t kLanes = 4;
constexpr int kAccumulators = 16;  // vectors that a product may sum up in at once

constexpr bool CpuHasVectors() { return true; }

// All bits set in lanes below count.
inline uint32x4_t FirstLanes(int64_t count) {
  return vcgtq_s32(vdupq_n_s32(static_cast<int32_t>(count)), int32x4_t{0, 1, 2, 3});
}

inline Vector Set(float value) { return vdupq_n_f32(value); }
inline Vector Load(const float* from) { return vld1q_f32(from); }
inline Vector Load(const uint16_t* half) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(half))); }
inline Vector Load(const int8_t* from) {
  uint32_t four;
  std::memcpy(&four, from, sizeof(four));
  const int16x8_t wide = vmovl_s8(vcreate_s8(four));
  return vcvtq_f32_s32(vmovl_s16(vget_low_s16(wide)));
}
// The low and the high four bits of bytes, less 7.5.
inline uint8x8_t LoadBytes(const uint8_t* from) {
  uint32_t four;
  std::memcpy(&four, from, sizeof(four));
  return vcreate_u8(four);
}
inline Vector LessMiddle(uint8x8_t codes) {
  return vcvtq_f32_u32(vmovl_u16(vget_low_u16(vmovl_u8(codes)))) - vdupq_n_f32(7.5f);
}
inline Vector LoadLow(const uint8_t* from) { return LessMiddle(vand_u8(LoadBytes(from), vdup_n_u8(15))); }
inline Vector LoadHigh(const uint8_t* from) { return LessMiddle(vshr_n_u8(LoadBytes(from), 4)); }
inline Vector LoadFirst(const float* from, int64_t count) {
  float values[kLanes] = {};
  std::copy_n(from, count, values);
  return Load(values);
}
inline void Store(float* to, Vector v) { vst1q_f32(to, v); }
inline void StoreFirst(float* to, int64_t count, Vector v) {
  float values[kLanes];
  Store(values, v);
  std::copy_n(values, count, to);
}
inline void Store(uint16_t* half, Vector v) { vst1_u16(half, vreinterpret_u16_f16(vcvt_f16_f32(v))); }
// Rounded to the nearest integer; values must lie in [-128, 127].
inline void Store(int8_t* to, Vector v) {
  const int16x4_t words = vqmovn_s32(vcvtnq_s32_f32(v));
  const uint32_t four = vget_lane_u32(vreinterpret_u32_s8(vqmovn_s16(vcombine_s16(words, words))), 0);
  std::memcpy(to, &four, sizeof(four));
}
inline Vector Fma(Vector a, Vector b, Vector c) { return vfmaq_f32(c, a, b); }
// Max and Min: b where either is NaN.
inline Vector Max(Vector a, Vector b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
inline Vector Min(Vector a, Vector b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
inline Vector Abs(Vector v) { return vabsq_f32(v); }
inline Vector Round(Vector v) { return vrndnq_f32(v); }
// value * 2^exponent for integer exponents in [-126, 127].
inline Vector TimesPowerOfTwo(Vector value, Vector exponent) {
  const int32x4_t bits = vshlq_n_s32(vaddq_s32(vcvtnq_s32_f32(exponent), vdupq_n_s32(127)), 23);
  return value * vreinterpretq_f32_s32(bits);
}
// value where x >= bound or x is NaN, elsewhere 0.
inline Vector ZeroBelow(Vector value, Vector x, Vector bound) {
  return vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(value), vcltq_f32(x, bound)));
}
// Lanes [first, end) of v, elsewhere other.
inline Vector KeepLanes(Vector v, int64_t first, int64_t end, Vector other) {
  return vbslq_f32(vbicq_u32(FirstLanes(end), FirstLanes(first)), v, other);
}
inline float Sum(Vector v) { return vaddvq_f32(v); }
inline float Largest(Vector v) { return vmaxvq_f32(v); }

}  // namespace
}  // namespace ecld
