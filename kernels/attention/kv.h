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
// Four bits: few elements of a head stand out, always the same ones, and would take all levels for themselves. Each
// head's vector is turned by a Hadamard matrix before it is rounded (Ashkboos et al. 2024, QuaRot, section 4.2, there
// for keys), which makes all elements alike; queries are turned too and outputs back, so that nothing else changes.
// Stored is a turned vector = scale * (code - 7.5), a byte holding two codes that vectors read apart:
//
//   keys          [num_kv_heads, capacity / 32, half, 32]        half = head_dim / 2 rounded up: low bits of row d hold
//                                                                element d, high bits element half + d
//   values        [num_kv_heads, capacity, 16 for every 32]      low bits of byte i hold element i of 32, high bits
//                                                                element i + 16
//   scales        as q8
//
// The memory is the caller's, zeroed before first use. Positions are written by AppendKv of attention.h.

#include <cstddef>
#include <cstdint>

#include "kernels/attention/kv_type.h"

namespace ecld {

inline constexpr int64_t kKeyBlock = 32;

// What a cache has room for is a multiple of a block: the least one that holds so many positions.
constexpr int64_t WholeKeyBlocks(int64_t positions) { return (positions + kKeyBlock - 1) / kKeyBlock * kKeyBlock; }

// Two codes of q4.
enum class CodePair : uint8_t {};
inline constexpr float kMiddleCode = 7.5f;

struct KvShape {
  KvType type = KvType::kF32;
  int64_t num_kv_heads = 0, head_dim = 0;

  bool Scaled() const { return type == KvType::kQ8 || type == KvType::kQ4; }
  int64_t ValueStride() const { return (head_dim + 15) / 16 * 16; }
  int64_t KeyHalf() const { return (head_dim + 1) / 2; }
  // Of a block of keys and of one value, in one head.
  int64_t KeyBlockBytes() const { return kKeyBlock * (type == KvType::kQ4 ? KeyHalf() : head_dim * Bits(type) / 8); }
  int64_t ValueRowBytes() const {
    return type == KvType::kQ4 ? (head_dim + 31) / 32 * 16 : ValueStride() * Bits(type) / 8;
  }
  int64_t KeyBytes(int64_t capacity) const { return num_kv_heads * capacity * KeyBlockBytes() / kKeyBlock; }
  int64_t ValueBytes(int64_t capacity) const { return num_kv_heads * capacity * ValueRowBytes(); }
  int64_t ScaleBytes(int64_t capacity) const { return Scaled() ? num_kv_heads * capacity * 4 : 0; }
  // All four arrays.
  int64_t Bytes(int64_t capacity) const { return KeyBytes(capacity) + ValueBytes(capacity) + 2 * ScaleBytes(capacity); }
};

// capacity: a multiple of kKeyBlock. data: Bytes(capacity), 64-byte aligned.
struct KvView {
  KvShape shape;
  int64_t capacity = 0;
  std::byte* data = nullptr;

  // The block that a position lies in, and its row of values. Element: float, uint16_t (half), int8_t, CodePair.
  template <class Element>
  Element* KeyBlock(int64_t head, int64_t position) const {
    return reinterpret_cast<Element*>(data + (head * capacity + position) / kKeyBlock * shape.KeyBlockBytes());
  }
  template <class Element>
  Element* ValueRow(int64_t head, int64_t position) const {
    return reinterpret_cast<Element*>(data + shape.KeyBytes(capacity) +
                                      (head * capacity + position) * shape.ValueRowBytes());
  }
  float* KeyScales(int64_t head) const {
    return reinterpret_cast<float*>(data + shape.KeyBytes(capacity) + shape.ValueBytes(capacity)) + head * capacity;
  }
  float* ValueScales(int64_t head) const { return KeyScales(head) + shape.num_kv_heads * capacity; }
};

// The turn of q4, in place: a Hadamard matrix divided by the root of its size, for every stretch of so many elements as
// the largest power of two that divides head_dim. It is its own inverse.
int64_t TurnSize(int64_t head_dim);
void Turn(float* vector, int64_t head_dim);

// One vector as floats, [head_dim]; what the stored bytes mean.
void ReadKey(const KvView& view, int64_t head, int64_t position, float* key);
void ReadValue(const KvView& view, int64_t head, int64_t position, float* value);

// The first count positions of one view into another of the same shape and any capacity that holds them.
void CopyKv(const KvView& from, int64_t count, const KvView& to);

}  // namespace ecld
