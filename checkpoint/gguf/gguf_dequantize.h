#pragma once
// The tensor types of a GGUF file that ECLD reads, and their values as floats. A type is a block of a fixed number of
// elements in a fixed number of bytes; a row is a whole number of blocks. The layouts are those of ggml
// (ggml-common.h: block_q4_0 ... block_q6_K); bytes are little-endian.
//
// The order of the float operations is part of the definition: results equal those of the gguf Python package bit for
// bit. Of these types ECLD writes only blocks that hold a packed matrix exactly (gguf_blocks.h).

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace ecld {

enum class GgmlType : uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ2_K = 10,
  kQ3_K = 11,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kIQ4_NL = 20,
  kIQ4_XS = 23,
  kBF16 = 30,
};

struct GgmlTypeInfo {
  GgmlType type;
  std::string_view name;  // "Q4_K"
  int64_t block_elements;
  int64_t block_bytes;
};

// The supported type with this number in a file; nullptr for every other number.
const GgmlTypeInfo* FindGgmlType(uint32_t id);
// REQUIRES: type is one of the enumerators.
const GgmlTypeInfo& InfoOf(GgmlType type);
// "Q8_K", or "type 99" when the number means nothing to us; for errors.
std::string GgmlTypeName(uint32_t id);
// "F32, F16, Q4_0, ..."; for errors.
std::string SupportedGgmlTypes();

// Writes block_count * block_elements floats to out. REQUIRES: blocks (any alignment) holds that many blocks.
void Dequantize(GgmlType type, const std::byte* blocks, int64_t block_count, float* out);

}  // namespace ecld
