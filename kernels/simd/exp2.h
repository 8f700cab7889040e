#pragma once
// 2^x and e^x on vectors. Included after one of the vector headers; see README.md here.

namespace ecld {
namespace {

// Relative error below 2e-7; 0 below -126, 2^127 above 127; NaN stays NaN.
ECLD_TARGET inline Vector Exp2(Vector x) {
  const Vector bound = Set(-126.0f);
  const Vector clamped = Min(Set(127.0f), Max(bound, x));
  const Vector whole = Round(clamped);
  const Vector f = clamped - whole;
  // 2^f on [-0.5, 0.5], interpolated in the Chebyshev points.
  Vector sum = Fma(Set(1.5461445e-4f), f, Set(1.3400428e-3f));
  sum = Fma(sum, f, Set(9.618057e-3f));
  sum = Fma(sum, f, Set(5.550327e-2f));
  sum = Fma(sum, f, Set(2.402265e-1f));
  sum = Fma(sum, f, Set(6.931472e-1f));
  sum = Fma(sum, f, Set(1.0f));
  return ZeroBelow(TimesPowerOfTwo(sum, whole), x, bound);
}

ECLD_TARGET inline Vector Exp(Vector x) { return Exp2(x * Set(1.4426950408889634f)); }

}  // namespace
}  // namespace ecld
