#pragma once
// Vectors of floats for the sources that are compiled once for each instruction set; see kernels/simd/README.md.
// This one: four lanes of the compiler's vector type, for any processor.

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "core/dtype.h"

#define ECLD_TARGET

namespace ecld {
namespace {

using Vector = float __attribute__((vector_size(16)));
constexpr int64_t kLanes = 4;
constexpr int kAccumulators = 16;  // vectors that a product may sum up in at once

constexpr bool CpuHasVectors() { return true; }

inline Vector Set(float value) { return Vector{value, value, value, value}; }
inline Vector Load(const float* from) {
  Vector v;
  std::memcpy(&v, from, sizeof(v));
  return v;
}
inline Vector Load(const uint16_t* half) {
  float values[kLanes];
  ToFloat(DType::kF16, reinterpret_cast<const std::byte*>(half), kLanes, values);
  return Load(values);
}
inline Vector Load(const int8_t* from) {
  return Vector{static_cast<float>(from[0]), static_cast<float>(from[1]), static_cast<float>(from[2]),
                static_cast<float>(from[3])};
}
// The low and the high four bits of bytes, less 7.5.
inline Vector LoadLow(const uint8_t* from) {
  Vector v;
  for (int i = 0; i < kLanes; ++i) v[i] = static_cast<float>(from[i] & 15) - 7.5f;
  return v;
}
inline Vector LoadHigh(const uint8_t* from) {
  Vector v;
  for (int i = 0; i < kLanes; ++i) v[i] = static_cast<float>(from[i] >> 4) - 7.5f;
  return v;
}
inline Vector LoadFirst(const float* from, int64_t count) {
  float values[kLanes] = {};
  std::copy_n(from, count, values);
  return Load(values);
}
inline void Store(float* to, Vector v) { std::memcpy(to, &v, sizeof(v)); }
inline void StoreFirst(float* to, int64_t count, Vector v) {
  std::memcpy(to, &v, static_cast<size_t>(count) * sizeof(float));
}
inline void Store(uint16_t* half, Vector v) {
  float values[kLanes];
  Store(values, v);
  FromFloat(DType::kF16, values, kLanes, reinterpret_cast<std::byte*>(half));
}
// Rounded to the nearest integer; values must lie in [-128, 127] or be NaN, of which comes anything.
inline void Store(int8_t* to, Vector v) {
  for (int i = 0; i < kLanes; ++i) to[i] = static_cast<int8_t>(std::isnan(v[i]) ? 0 : std::nearbyint(v[i]));
}
inline Vector Fma(Vector a, Vector b, Vector c) { return a * b + c; }
// Max and Min: b where either is NaN.
inline Vector Max(Vector a, Vector b) {
  for (int i = 0; i < kLanes; ++i) a[i] = a[i] > b[i] ? a[i] : b[i];
  return a;
}
inline Vector Min(Vector a, Vector b) {
  for (int i = 0; i < kLanes; ++i) a[i] = a[i] < b[i] ? a[i] : b[i];
  return a;
}
inline Vector Abs(Vector v) {
  for (int i = 0; i < kLanes; ++i) v[i] = std::fabs(v[i]);
  return v;
}
// For |v| < 2^22.
inline Vector Round(Vector v) {
  const Vector magic = Set(12582912.0f);  // 1.5 * 2^23: what is added to it loses its fraction
  return (v + magic) - magic;
}
// value * 2^exponent for integer exponents in [-126, 127].
inline Vector TimesPowerOfTwo(Vector value, Vector exponent) {
  constexpr float kMagic = 12582912.0f;  // as in Round: in its last bits stands the integer, of NaN anything
  for (int i = 0; i < kLanes; ++i) {
    const uint32_t power = std::bit_cast<uint32_t>(exponent[i] + kMagic) - std::bit_cast<uint32_t>(kMagic) + 127;
    value[i] *= std::bit_cast<float>(power << 23);
  }
  return value;
}
// value where x >= bound or x is NaN, elsewhere 0.
inline Vector ZeroBelow(Vector value, Vector x, Vector bound) {
  for (int i = 0; i < kLanes; ++i) value[i] = x[i] < bound[i] ? 0.0f : value[i];
  return value;
}
// Lanes [first, end) of v, elsewhere other.
inline Vector KeepLanes(Vector v, int64_t first, int64_t end, Vector other) {
  for (int i = 0; i < kLanes; ++i) v[i] = i >= first && i < end ? v[i] : other[i];
  return v;
}
inline float Sum(Vector v) { return (v[0] + v[2]) + (v[1] + v[3]); }
inline float Largest(Vector v) { return std::max(std::max(v[0], v[2]), std::max(v[1], v[3])); }

}  // namespace
}  // namespace ecld
