#pragma once
// The bodies of ElementwiseKernels, for the vectors of the instruction set that was included before.

#include <cmath>

#include "kernels/elementwise/elementwise.h"
#include "kernels/simd/exp2.h"

namespace ecld {
namespace {

ECLD_TARGET inline void RmsNormRow(const float* x, const float* weight, int64_t width, float eps, float* y) {
  // Four sums, so that one does not wait for the other.
  Vector sums[4] = {Set(0), Set(0), Set(0), Set(0)};
  int64_t i = 0;
  for (; i + 4 * kLanes <= width; i += 4 * kLanes)
#pragma GCC unroll 4
    for (int64_t s = 0; s < 4; ++s) {
      const Vector v = Load(x + i + s * kLanes);
      sums[s] = Fma(v, v, sums[s]);
    }
  for (; i < width; i += kLanes) {
    const Vector v = i + kLanes <= width ? Load(x + i) : LoadFirst(x + i, width - i);
    sums[0] = Fma(v, v, sums[0]);
  }
  const float mean = Sum((sums[0] + sums[1]) + (sums[2] + sums[3])) / static_cast<float>(width);
  const Vector inverse = Set(1.0f / std::sqrt(mean + eps));
  for (i = 0; i + kLanes <= width; i += kLanes) Store(y + i, Load(x + i) * inverse * Load(weight + i));
  if (const int64_t rest = width - i; rest > 0)
    StoreFirst(y + i, rest, LoadFirst(x + i, rest) * inverse * LoadFirst(weight + i, rest));
}

ECLD_TARGET inline void RotateRow(float* x, const float* cosine, const float* sine, int64_t heads, int64_t head_dim) {
  const int64_t half = head_dim / 2;
  for (float* low = x; low != x + heads * head_dim; low += head_dim) {
    float* high = low + half;
    int64_t i = 0;
    for (; i + kLanes <= half; i += kLanes) {
      const Vector a = Load(low + i), b = Load(high + i), c = Load(cosine + i), s = Load(sine + i);
      Store(low + i, a * c - b * s);
      Store(high + i, b * c + a * s);
    }
    if (const int64_t rest = half - i; rest > 0) {
      const Vector a = LoadFirst(low + i, rest), b = LoadFirst(high + i, rest), c = LoadFirst(cosine + i, rest),
                   s = LoadFirst(sine + i, rest);
      StoreFirst(low + i, rest, a * c - b * s);
      StoreFirst(high + i, rest, b * c + a * s);
    }
  }
}

ECLD_TARGET inline Vector Gated(Vector gate, Vector up) { return gate / (Set(1) + Exp(Set(0) - gate)) * up; }

ECLD_TARGET inline void SwigluRow(const float* gate, const float* up, int64_t count, float* y) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) Store(y + i, Gated(Load(gate + i), Load(up + i)));
  if (const int64_t rest = count - i; rest > 0)
    StoreFirst(y + i, rest, Gated(LoadFirst(gate + i, rest), LoadFirst(up + i, rest)));
}

// (1 + tanh z) / 2 = 1 / (1 + e^(-2 z))
ECLD_TARGET inline Vector GeluGated(Vector gate, Vector up) {
  constexpr float kTwice = 2 * 0.7978845608f;  // sqrt(2 / pi)
  const Vector z = gate * Fma(gate * gate, Set(kTwice * 0.044715f), Set(kTwice));
  return gate / (Set(1) + Exp(Set(0) - z)) * up;
}

ECLD_TARGET inline void GegluRow(const float* gate, const float* up, int64_t count, float* y) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) Store(y + i, GeluGated(Load(gate + i), Load(up + i)));
  if (const int64_t rest = count - i; rest > 0)
    StoreFirst(y + i, rest, GeluGated(LoadFirst(gate + i, rest), LoadFirst(up + i, rest)));
}

ECLD_TARGET inline void AddRow(const float* x, int64_t count, float* sum) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) Store(sum + i, Load(sum + i) + Load(x + i));
  if (const int64_t rest = count - i; rest > 0)
    StoreFirst(sum + i, rest, LoadFirst(sum + i, rest) + LoadFirst(x + i, rest));
}

ECLD_TARGET inline bool AllFiniteIn(const float* x, int64_t count) {
  // NaN and infinity times zero are NaN, which stays in a sum.
  Vector sums[2] = {Set(0), Set(0)};
  int64_t i = 0;
  for (; i + 2 * kLanes <= count; i += 2 * kLanes) {
    sums[0] = Fma(Load(x + i), Set(0), sums[0]);
    sums[1] = Fma(Load(x + i + kLanes), Set(0), sums[1]);
  }
  for (; i < count; i += kLanes)
    sums[0] = Fma(i + kLanes <= count ? Load(x + i) : LoadFirst(x + i, count - i), Set(0), sums[0]);
  return Sum(sums[0] + sums[1]) == 0;
}

constexpr ElementwiseKernels KernelsOf(const char* name) {
  return {.name = name,
          .supports = CpuHasVectors,
          .rms_norm = RmsNormRow,
          .rotate = RotateRow,
          .swiglu = SwigluRow,
          .geglu = GegluRow,
          .add = AddRow,
          .all_finite = AllFiniteIn};
}

}  // namespace
}  // namespace ecld
