#include "kernels/packing/packing.h"

#include <bit>
#include <cassert>
#include <cstddef>
#include <cstring>

namespace ecld {

static_assert(std::endian::native == std::endian::little, "packed words are used as they lie in the file");

void PackBits(int bits, const uint8_t* codes, int64_t count, uint32_t* words, int64_t stride) {
  assert(bits >= 1 && bits <= 8);
  uint64_t pending = 0;  // bits not yet written, lowest first
  int held = 0;
  for (int64_t i = 0; i < count; ++i) {
    assert(codes[i] < (1 << bits));
    pending |= uint64_t{codes[i]} << held;
    held += bits;
    if (held >= 32) {
      *words = static_cast<uint32_t>(pending);
      words += stride;
      pending >>= 32;
      held -= 32;
    }
  }
  if (held > 0) *words = static_cast<uint32_t>(pending);
}

void UnpackBits(int bits, const void* words, int64_t first, int64_t count, uint8_t* codes, int64_t stride) {
  assert(bits >= 1 && bits <= 8);
  if (count <= 0) return;
  const auto* source = static_cast<const std::byte*>(words);
  auto word = [&](int64_t index) {
    uint32_t value;
    std::memcpy(&value, source + index * stride * 4, 4);
    return uint64_t{value};
  };
  const uint64_t mask = (uint64_t{1} << bits) - 1;
  int64_t next = first * bits / 32;
  int held = 32 - static_cast<int>(first * bits % 32);
  uint64_t pending = word(next++) >> (32 - held);
  for (int64_t i = 0; i < count; ++i) {
    if (held < bits) {  // a code may lie across two words
      pending |= word(next++) << held;
      held += 32;
    }
    codes[i] = static_cast<uint8_t>(pending & mask);
    pending >>= bits;
    held -= bits;
  }
}

}  // namespace ecld
