#pragma once
// Pack and Unpack: codes <-> the dense bit stream of packed_format.h. They are inverse for every width and length.

#include <cstdint>

#include "kernels/packing/packed_format.h"

namespace ecld {

// codes[count], each below 2^bits -> words[(count * bits + 31) / 32]; unused high bits of the last word are zero.
// stride: distance between consecutive words, in words (zero points are packed down a column). REQUIRES: 1 <= bits
// <= 8.
void PackBits(int bits, const uint8_t* codes, int64_t count, uint32_t* words, int64_t stride = 1);

// The inverse, for codes [first, first + count) of a stream. words: uint32, any alignment (mapped files promise none).
void UnpackBits(int bits, const void* words, int64_t first, int64_t count, uint8_t* codes, int64_t stride = 1);

}  // namespace ecld
