#pragma once
// Writing one position of keys and values in the form that kv.h describes, for the vectors of the instruction set that
// was included before.

#include <algorithm>
#include <type_traits>

#include "kernels/attention/kv.h"
#include "kernels/simd/hadamard.h"

namespace ecld {
namespace {

ECLD_TARGET inline Vector LoadUpTo(const float* from, int64_t count) {
  return count >= kLanes ? Load(from) : LoadFirst(from, std::max<int64_t>(count, 0));
}

// The scale that takes the largest element to `most`; not a number where an element is none, so that none is lost.
ECLD_TARGET inline float ScaleOf(const float* from, int64_t count, float most) {
  Vector largest = Set(0), lost = Set(0);
  for (int64_t d = 0; d < count; d += kLanes) {
    const Vector v = LoadUpTo(from + d, count - d);
    largest = Max(largest, Abs(v));
    lost = Fma(v, Set(0), lost);
  }
  return Largest(largest) / most + Sum(lost);
}

inline float Inverse(float scale) { return scale > 0 ? 1 / scale : 0; }

// One head's vector, elements kStride apart; whole vectors are written where they lie side by side.
template <int64_t kStride, class Element>
ECLD_TARGET void WriteVector(const float* from, int64_t count, float factor, Element* to) {
  for (int64_t d = 0; d < count; d += kLanes) {
    const Vector v = LoadUpTo(from + d, count - d) * Set(factor);
    if constexpr (kStride == 1) {
      Store(to + d, v);
    } else {
      Element elements[kLanes];
      Store(elements, v);
      for (int64_t i = 0; i < std::min(kLanes, count - d); ++i) to[(d + i) * kStride] = elements[i];
    }
  }
}

// Bytes [0, count) whose low codes are of elements from low on, and their high ones from high on: 16 * high + low, less
// 128 on the way through a signed byte.
template <int64_t kStride>
ECLD_TARGET void WriteCodes(const float* low, int64_t lows, const float* high, int64_t highs, int64_t count,
                            float factor, CodePair* to) {
  const Vector scale = Set(factor), middle = Set(kMiddleCode);
  for (int64_t d = 0; d < count; d += kLanes) {
    const Vector first = Round(Fma(LoadUpTo(low + d, lows - d), scale, middle));
    const Vector second = Round(Fma(LoadUpTo(high + d, highs - d), scale, middle));
    int8_t bytes[kLanes];
    Store(bytes, Fma(second, Set(16), first - Set(128)));
    for (int64_t i = 0; i < std::min(kLanes, count - d); ++i)
      to[(d + i) * kStride] = static_cast<CodePair>(static_cast<uint8_t>(bytes[i]) ^ 0x80);
  }
}

ECLD_TARGET inline void AppendCodes(const KvView& view, int64_t head, int64_t position, float* key, float* value) {
  const int64_t head_dim = view.shape.head_dim, half = view.shape.KeyHalf(), size = TurnSize(head_dim);
  TurnStretches(key, head_dim, size);
  TurnStretches(value, head_dim, size);
  const float key_scale = view.KeyScales(head)[position] = ScaleOf(key, head_dim, kMiddleCode);
  const float value_scale = view.ValueScales(head)[position] = ScaleOf(value, head_dim, kMiddleCode);
  WriteCodes<kKeyBlock>(key, half, key + half, head_dim - half, half, Inverse(key_scale),
                        view.KeyBlock<CodePair>(head, position) + position % kKeyBlock);
  CodePair* row = view.ValueRow<CodePair>(head, position);
  for (int64_t d = 0; d < head_dim; d += 32, row += 16)
    WriteCodes<1>(value + d, head_dim - d, value + d + 16, head_dim - d - 16, 16, Inverse(value_scale), row);
}

template <class Element>
ECLD_TARGET void AppendOf(const KvView& view, int64_t position, float* key, float* value) {
  const int64_t head_dim = view.shape.head_dim;
  for (int64_t head = 0; head < view.shape.num_kv_heads; ++head, key += head_dim, value += head_dim) {
    if constexpr (std::is_same_v<Element, CodePair>) {
      AppendCodes(view, head, position, key, value);
    } else {
      float key_factor = 1, value_factor = 1;
      if constexpr (std::is_same_v<Element, int8_t>) {
        key_factor = Inverse(view.KeyScales(head)[position] = ScaleOf(key, head_dim, 127));
        value_factor = Inverse(view.ValueScales(head)[position] = ScaleOf(value, head_dim, 127));
      }
      WriteVector<kKeyBlock>(key, head_dim, key_factor, view.KeyBlock<Element>(head, position) + position % kKeyBlock);
      WriteVector<1>(value, head_dim, value_factor, view.ValueRow<Element>(head, position));
    }
  }
}

ECLD_TARGET void Append(const KvView& view, int64_t position, float* key, float* value) {
  switch (view.shape.type) {
    case KvType::kF32:
      return AppendOf<float>(view, position, key, value);
    case KvType::kF16:
      return AppendOf<uint16_t>(view, position, key, value);
    case KvType::kQ8:
      return AppendOf<int8_t>(view, position, key, value);
    case KvType::kQ4:
      return AppendOf<CodePair>(view, position, key, value);
  }
}

}  // namespace
}  // namespace ecld
