#pragma once
// Writing one position of keys and values in the form that kv.h describes, for the vectors of the instruction set that
// was included before.

#include <algorithm>
#include <type_traits>

#include "kernels/attention/kv.h"

namespace ecld {
namespace {

// One head's vector, elements kStride apart; whole vectors are written where they lie side by side.
template <int64_t kStride, class Element>
ECLD_TARGET void WriteVector(const float* from, int64_t count, Element* to, float* scale) {
  Vector factor = Set(1);
  if constexpr (std::is_same_v<Element, int8_t>) {
    Vector largest = Set(0);
    for (int64_t d = 0; d < count; d += kLanes)
      largest = Max(largest, Abs(d + kLanes <= count ? Load(from + d) : LoadFirst(from + d, count - d)));
    const float bound = Largest(largest);
    *scale = bound / 127;
    factor = Set(bound > 0 ? 127 / bound : 0);
  }
  for (int64_t d = 0; d < count; d += kLanes) {
    const Vector v = (d + kLanes <= count ? Load(from + d) : LoadFirst(from + d, count - d)) * factor;
    if constexpr (kStride == 1) {
      Store(to + d, v);
    } else {
      Element elements[kLanes];
      Store(elements, v);
      for (int64_t i = 0; i < std::min(kLanes, count - d); ++i) to[(d + i) * kStride] = elements[i];
    }
  }
}

template <class Element>
ECLD_TARGET void AppendOf(const KvView& view, int64_t position, const float* key, const float* value) {
  const int64_t head_dim = view.shape.head_dim;
  for (int64_t head = 0; head < view.shape.num_kv_heads; ++head, key += head_dim, value += head_dim) {
    float key_scale = 1, value_scale = 1;
    WriteVector<kKeyBlock>(
        key, head_dim, view.Keys<Element>(head) + position / kKeyBlock * kKeyBlock * head_dim + position % kKeyBlock,
        &key_scale);
    WriteVector<1>(value, head_dim, view.Values<Element>(head) + position * view.shape.ValueStride(), &value_scale);
    if constexpr (std::is_same_v<Element, int8_t>) {
      view.KeyScales(head)[position] = key_scale;
      view.ValueScales(head)[position] = value_scale;
    }
  }
}

ECLD_TARGET void Append(const KvView& view, int64_t position, const float* key, const float* value) {
  switch (view.shape.type) {
    case KvType::kF32:
      return AppendOf<float>(view, position, key, value);
    case KvType::kF16:
      return AppendOf<uint16_t>(view, position, key, value);
    case KvType::kQ8:
      return AppendOf<int8_t>(view, position, key, value);
  }
}

}  // namespace
}  // namespace ecld
