#pragma once
// The keys and values of one sequence in one layer, as attention reads them. Head by head, so that one head's keys are
// one stream; keys in blocks of 32 positions that lie side by side, so that a vector holds one element of many keys and
// scores need no sums across lanes:
//
//   keys          [num_kv_heads, capacity / 32, head_dim, 32]
//   values        [num_kv_heads, capacity, padded head_dim]      padded to a multiple of 16; the padding holds zeros
//   key scales    float [num_kv_heads, capacity]                 only q8: key = scale * integer in [-127, 127]
//   value scales  float [num_kv_heads, capacity]                 only q8
//
// The memory is the caller's, zeroed before first use. Positions are written by AppendKv of attention.h.

#include <cstddef>
#include <cstdint>

#include "kernels/attention/kv_type.h"

namespace ecld {

inline constexpr int64_t kKeyBlock = 32;

struct KvShape {
  KvType type = KvType::kF32;
  int64_t num_kv_heads = 0, head_dim = 0;

  int64_t ElementBytes() const { return type == KvType::kF32 ? 4 : type == KvType::kF16 ? 2 : 1; }
  int64_t ValueStride() const { return (head_dim + 15) / 16 * 16; }
  int64_t KeyBytes(int64_t capacity) const { return num_kv_heads * capacity * head_dim * ElementBytes(); }
  int64_t ValueBytes(int64_t capacity) const { return num_kv_heads * capacity * ValueStride() * ElementBytes(); }
  int64_t ScaleBytes(int64_t capacity) const { return type == KvType::kQ8 ? num_kv_heads * capacity * 4 : 0; }
  // All four arrays.
  int64_t Bytes(int64_t capacity) const { return KeyBytes(capacity) + ValueBytes(capacity) + 2 * ScaleBytes(capacity); }
};

// capacity: a multiple of kKeyBlock. data: Bytes(capacity), 64-byte aligned.
struct KvView {
  KvShape shape;
  int64_t capacity = 0;
  std::byte* data = nullptr;

  template <class Element>
  Element* Keys(int64_t head) const {
    return reinterpret_cast<Element*>(data) + head * capacity * shape.head_dim;
  }
  template <class Element>
  Element* Values(int64_t head) const {
    return reinterpret_cast<Element*>(data + shape.KeyBytes(capacity)) + head * capacity * shape.ValueStride();
  }
  float* KeyScales(int64_t head) const {
    return reinterpret_cast<float*>(data + shape.KeyBytes(capacity) + shape.ValueBytes(capacity)) + head * capacity;
  }
  float* ValueScales(int64_t head) const { return KeyScales(head) + shape.num_kv_heads * capacity; }
};

// One vector as floats, [head_dim]; what the stored bytes mean.
void ReadKey(const KvView& view, int64_t head, int64_t position, float* key);
void ReadValue(const KvView& view, int64_t head, int64_t position, float* value);

// The first count positions of one view into another of the same shape and any capacity that holds them.
void CopyKv(const KvView& from, int64_t count, const KvView& to);

}  // namespace ecld
