#pragma once
// The turn of kernels/attention/kv.h on vectors. Included after one of the vector headers; see README.md here.

#include <cmath>
#include <cstdint>
#include <utility>

namespace ecld {
namespace {

// Sums and differences of lanes kStep apart.
template <int kStep, size_t... kLane>
ECLD_TARGET inline Vector Butterfly(Vector v, std::index_sequence<kLane...>) {
  const Vector sign = {((kLane & kStep) != 0 ? -1.0f : 1.0f)...};
  const Vector other = __builtin_shufflevector(v, v, (kLane ^ kStep)...);
  return Fma(v, sign, other);
}
template <int kStep>
ECLD_TARGET inline Vector Butterfly(Vector v) {
  return Butterfly<kStep>(v, std::make_index_sequence<static_cast<size_t>(kLanes)>());
}

// size: a power of two that divides count; each stretch of so many elements is turned, in place.
ECLD_TARGET inline void TurnStretches(float* x, int64_t count, int64_t size) {
  const Vector scale = Set(1 / std::sqrt(static_cast<float>(size)));
  for (int64_t i = 0; i < count; i += kLanes) {
    const bool whole = i + kLanes <= count;
    Vector v = (whole ? Load(x + i) : LoadFirst(x + i, count - i)) * scale;
    if (size > 1) v = Butterfly<1>(v);
    if (size > 2) v = Butterfly<2>(v);
    if constexpr (kLanes > 4)
      if (size > 4) v = Butterfly<4>(v);
    if constexpr (kLanes > 8)
      if (size > 8) v = Butterfly<8>(v);
    if (whole)
      Store(x + i, v);
    else
      StoreFirst(x + i, count - i, v);
  }
  for (int64_t step = kLanes; step < size; step *= 2)
    for (int64_t first = 0; first < count; first += 2 * step)
      for (int64_t i = first; i < first + step; i += kLanes) {
        const Vector low = Load(x + i), high = Load(x + i + step);
        Store(x + i, low + high);
        Store(x + i + step, low - high);
      }
}

}  // namespace
}  // namespace ecld
