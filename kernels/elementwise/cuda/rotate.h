#pragma once
// The body of RotateStep, as a template over the machine it runs on (kernels/cuda). A warp takes one head of the query,
// the key or the value in one row.

#include "kernels/elementwise/cuda/rows.h"

namespace ecld::cuda {

// Elements `32 p + lane` of the lower half of a head and those of the upper half.
struct HeadPairs {
  static constexpr int kPairs = kMaxHeadDim / 64;
  float low[kPairs], high[kPairs];
};

template <class Machine>
ECLD_DEVICE void NormHead(Machine& machine, const float* weight, float eps, int head_dim, HeadPairs& head) {
  float sum = 0;
  ECLD_UNROLL
  for (int p = 0; p < HeadPairs::kPairs; ++p) sum += head.low[p] * head.low[p] + head.high[p] * head.high[p];
  const float inverse = 1.0f / sqrtf(WarpSum(machine, sum) / static_cast<float>(head_dim) + eps);
  ECLD_UNROLL
  for (int p = 0; p < HeadPairs::kPairs; ++p) {
    const int i = p * 32 + machine.Thread();
    if (i >= head_dim / 2) continue;
    head.low[p] = head.low[p] * inverse * machine.Load(weight + i);
    head.high[p] = head.high[p] * inverse * machine.Load(weight + head_dim / 2 + i);
  }
}

template <class Machine>
ECLD_DEVICE void TurnHead(Machine& machine, const float* cosine, const float* sine, int half, HeadPairs& head) {
  ECLD_UNROLL
  for (int p = 0; p < HeadPairs::kPairs; ++p) {
    const int i = p * 32 + machine.Thread();
    if (i >= half) continue;
    const float c = machine.Load(cosine + i), s = machine.Load(sine + i), a = head.low[p], b = head.high[p];
    head.low[p] = a * c - b * s;
    head.high[p] = b * c + a * s;
  }
}

// The scale that takes the largest element to 127; not a number where an element is none, so that none is lost.
template <class Machine>
ECLD_DEVICE float ScaleOfHead(Machine& machine, const HeadPairs& head) {
  float largest = 0, lost = 0;
  ECLD_UNROLL
  for (int p = 0; p < HeadPairs::kPairs; ++p) {
    largest = fmaxf(largest, fmaxf(fabsf(head.low[p]), fabsf(head.high[p])));
    lost += head.low[p] * 0.0f + head.high[p] * 0.0f;
  }
  return WarpLargest(machine, largest) / 127.0f + WarpSum(machine, lost);
}

// Elements `stride` apart. scales: where the scale of 8 bits goes.
template <bool kQ8, class Machine>
ECLD_DEVICE void StoreHead(Machine& machine, const HeadPairs& head, int half, std::byte* to, int64_t stride,
                           float* scale_place) {
  float factor = 0;
  if constexpr (kQ8) {
    const float scale = ScaleOfHead(machine, head);
    factor = scale > 0 ? 1.0f / scale : 0.0f;
    if (machine.Thread() == 0) machine.Store(scale_place, scale);
  }
  const auto store = [&](int element, float value) {
    if constexpr (kQ8) {
      const int code = factor > 0 ? static_cast<int>(rintf(value * factor)) : 0;
      machine.Store(reinterpret_cast<int8_t*>(to) + element * stride, static_cast<int8_t>(code));
    } else {
      machine.Store(reinterpret_cast<uint16_t*>(to) + element * stride, FromFloat<DType::kF16>(value));
    }
  };
  ECLD_UNROLL
  for (int p = 0; p < HeadPairs::kPairs; ++p) {
    const int i = p * 32 + machine.Thread();
    if (i >= half) continue;
    store(i, head.low[p]);
    store(half + i, head.high[p]);
  }
}

// Grid: (heads of query, key and value, rows).
template <bool kQ8>
struct RotateKernel {
  static constexpr int kThreads = 32;
  RotateStep step;

  LaunchShape Shape() const { return {.x = step.num_heads + 2 * step.kv.num_heads, .y = step.rows}; }
  template <class Machine>
  ECLD_DEVICE void operator()(Machine& machine) const {
    const KvMemory& kv = step.kv;
    const int head = machine.BlockX(), row = machine.BlockY(), head_dim = kv.head_dim, half = head_dim / 2;
    const int64_t position = machine.Load(step.position) + row;
    const bool is_query = head < step.num_heads, is_key = !is_query && head < step.num_heads + kv.num_heads;

    HeadPairs pairs;
    const float* y = step.y + (int64_t{row} * (step.num_heads + 2 * kv.num_heads) + head) * head_dim;
    ECLD_UNROLL
    for (int p = 0; p < HeadPairs::kPairs; ++p) {
      const int i = p * 32 + machine.Thread();
      pairs.low[p] = i < half ? machine.Load(y + i) : 0.0f;
      pairs.high[p] = i < half ? machine.Load(y + half + i) : 0.0f;
      if (step.bias == nullptr || i >= half) continue;
      pairs.low[p] += machine.Load(step.bias + head * head_dim + i);
      pairs.high[p] += machine.Load(step.bias + head * head_dim + half + i);
    }
    if (is_query || is_key) {
      if (step.query_norm != nullptr)
        NormHead(machine, is_query ? step.query_norm : step.key_norm, step.eps, head_dim, pairs);
      TurnHead(machine, step.cosine + position * half, step.sine + position * half, half, pairs);
    }
    constexpr int64_t kBytes = kQ8 ? 1 : 2;
    if (is_query) {
      float* query = step.query + (int64_t{row} * step.num_heads + head) * head_dim;
      ECLD_UNROLL
      for (int p = 0; p < HeadPairs::kPairs; ++p) {
        const int i = p * 32 + machine.Thread();
        if (i >= half) continue;
        machine.Store(query + i, pairs.low[p]);
        machine.Store(query + half + i, pairs.high[p]);
      }
    } else if (is_key) {
      const int64_t place = (head - step.num_heads) * kv.capacity + position;
      const int64_t block = place / 32 * 32 * head_dim + place % 32;
      StoreHead<kQ8>(machine, pairs, half, kv.keys + block * kBytes, 32, kv.key_scales + place);
    } else {
      const int64_t place = (head - step.num_heads - kv.num_heads) * kv.capacity + position;
      StoreHead<kQ8>(machine, pairs, half, kv.values + place * kv.value_stride * kBytes, 1, kv.value_scales + place);
    }
  }
};

template <class Call>
void WithKernel(const RotateStep& step, const Call& call) {
  if (step.kv.q8) return call(RotateKernel<true>{step});
  call(RotateKernel<false>{step});
}

}  // namespace ecld::cuda
