#include "checkpoint/gguf/gguf_dequantize.h"

#include <fmt/format.h>

#include <array>
#include <cassert>
#include <cstring>

#include "core/dtype.h"

// Every product and every difference below is its own statement: within one expression a compiler may fuse them into
// one rounding, and the result would no longer be the format's.

namespace ecld {
namespace {

constexpr std::array kTypes = {
    GgmlTypeInfo{GgmlType::kF32, "F32", 1, 4},           GgmlTypeInfo{GgmlType::kF16, "F16", 1, 2},
    GgmlTypeInfo{GgmlType::kBF16, "BF16", 1, 2},         GgmlTypeInfo{GgmlType::kQ4_0, "Q4_0", 32, 18},
    GgmlTypeInfo{GgmlType::kQ4_1, "Q4_1", 32, 20},       GgmlTypeInfo{GgmlType::kQ5_0, "Q5_0", 32, 22},
    GgmlTypeInfo{GgmlType::kQ5_1, "Q5_1", 32, 24},       GgmlTypeInfo{GgmlType::kQ8_0, "Q8_0", 32, 34},
    GgmlTypeInfo{GgmlType::kQ2_K, "Q2_K", 256, 84},      GgmlTypeInfo{GgmlType::kQ3_K, "Q3_K", 256, 110},
    GgmlTypeInfo{GgmlType::kQ4_K, "Q4_K", 256, 144},     GgmlTypeInfo{GgmlType::kQ5_K, "Q5_K", 256, 176},
    GgmlTypeInfo{GgmlType::kQ6_K, "Q6_K", 256, 210},     GgmlTypeInfo{GgmlType::kIQ4_NL, "IQ4_NL", 32, 18},
    GgmlTypeInfo{GgmlType::kIQ4_XS, "IQ4_XS", 256, 136},
};

struct NamedNumber {
  uint32_t id;
  std::string_view name;
};
// Types of other files in circulation, so that an error can name them.
constexpr std::array kUnsupported = {
    NamedNumber{4, "Q4_2"},        NamedNumber{5, "Q4_3"},        NamedNumber{9, "Q8_1"},
    NamedNumber{15, "Q8_K"},       NamedNumber{16, "IQ2_XXS"},    NamedNumber{17, "IQ2_XS"},
    NamedNumber{18, "IQ3_XXS"},    NamedNumber{19, "IQ1_S"},      NamedNumber{21, "IQ3_S"},
    NamedNumber{22, "IQ2_S"},      NamedNumber{24, "I8"},         NamedNumber{25, "I16"},
    NamedNumber{26, "I32"},        NamedNumber{27, "I64"},        NamedNumber{28, "F64"},
    NamedNumber{29, "IQ1_M"},      NamedNumber{31, "Q4_0_4_4"},   NamedNumber{32, "Q4_0_4_8"},
    NamedNumber{33, "Q4_0_8_8"},   NamedNumber{34, "TQ1_0"},      NamedNumber{35, "TQ2_0"},
    NamedNumber{36, "IQ4_NL_4_4"}, NamedNumber{37, "IQ4_NL_4_8"}, NamedNumber{38, "IQ4_NL_8_8"},
    NamedNumber{39, "MXFP4"},      NamedNumber{40, "NVFP4"},      NamedNumber{41, "Q1_0"},
};

float HalfAt(const uint8_t* bytes) { return HalfToFloat(static_cast<uint16_t>(bytes[0] | (bytes[1] << 8))); }

uint32_t WordAt(const uint8_t* bytes) {
  uint32_t word;
  std::memcpy(&word, bytes, sizeof word);
  return word;
}

float Affine(float scale, float code, float offset) {
  float product = scale * code;
  return product + offset;
}

void Q4_0(const uint8_t* block, float* out) {
  float d = HalfAt(block);
  const uint8_t* codes = block + 2;
  for (int i = 0; i < 16; ++i) {
    out[i] = d * static_cast<float>((codes[i] & 15) - 8);
    out[i + 16] = d * static_cast<float>((codes[i] >> 4) - 8);
  }
}

void Q4_1(const uint8_t* block, float* out) {
  float d = HalfAt(block), m = HalfAt(block + 2);
  const uint8_t* codes = block + 4;
  for (int i = 0; i < 16; ++i) {
    out[i] = Affine(d, static_cast<float>(codes[i] & 15), m);
    out[i + 16] = Affine(d, static_cast<float>(codes[i] >> 4), m);
  }
}

// The fifth bits of a block of 32 lie together in one word, bit i for element i.
int FifthBit(uint32_t high, int i) { return static_cast<int>((high >> i) & 1u) << 4; }

void Q5_0(const uint8_t* block, float* out) {
  float d = HalfAt(block);
  uint32_t high = WordAt(block + 2);
  const uint8_t* codes = block + 6;
  for (int i = 0; i < 16; ++i) {
    out[i] = d * static_cast<float>(((codes[i] & 15) | FifthBit(high, i)) - 16);
    out[i + 16] = d * static_cast<float>(((codes[i] >> 4) | FifthBit(high, i + 16)) - 16);
  }
}

void Q5_1(const uint8_t* block, float* out) {
  float d = HalfAt(block), m = HalfAt(block + 2);
  uint32_t high = WordAt(block + 4);
  const uint8_t* codes = block + 8;
  for (int i = 0; i < 16; ++i) {
    out[i] = Affine(d, static_cast<float>((codes[i] & 15) | FifthBit(high, i)), m);
    out[i + 16] = Affine(d, static_cast<float>((codes[i] >> 4) | FifthBit(high, i + 16)), m);
  }
}

void Q8_0(const uint8_t* block, float* out) {
  float d = HalfAt(block);
  for (int i = 0; i < 32; ++i) out[i] = static_cast<float>(static_cast<int8_t>(block[2 + i])) * d;
}

// 2-bit codes of a K block: 128 elements per 32 bytes, element 32 * s + l in bits 2s of byte l.
int TwoBitCode(const uint8_t* codes, int i) { return (codes[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2)) & 3; }

void Q2_K(const uint8_t* block, float* out) {
  const uint8_t* scales = block;
  const uint8_t* codes = block + 16;
  float d = HalfAt(block + 80), dmin = HalfAt(block + 82);
  for (int sub = 0; sub < 16; ++sub) {
    float scale = d * static_cast<float>(scales[sub] & 15);
    float minimum = dmin * static_cast<float>(scales[sub] >> 4);
    for (int i = sub * 16; i < sub * 16 + 16; ++i) {
      out[i] = Affine(scale, static_cast<float>(TwoBitCode(codes, i)), -minimum);
    }
  }
}

void Q3_K(const uint8_t* block, float* out) {
  const uint8_t* high = block;  // bit s of byte l belongs to element 32 * s + l; clear means minus 4
  const uint8_t* codes = block + 32;
  const uint8_t* scales = block + 96;  // 16 scales of 6 bits: low nibbles in 8 bytes, high pairs in 4
  float d = HalfAt(block + 108);
  for (int sub = 0; sub < 16; ++sub) {
    int low = (scales[sub % 8] >> (sub / 8 * 4)) & 15;
    int top = (scales[8 + sub % 4] >> (sub / 4 * 2)) & 3;
    float scale = d * static_cast<float>((low | (top << 4)) - 32);
    for (int i = sub * 16; i < sub * 16 + 16; ++i) {
      bool high_bit = (high[i % 32] >> (i / 32)) & 1;
      out[i] = scale * static_cast<float>(TwoBitCode(codes, i) - (high_bit ? 0 : 4));
    }
  }
}

// Scale and minimum of sub-block `sub` of eight, 6 bits each, as Q4_K and Q5_K pack them into 12 bytes.
struct ScaleMin {
  int scale, minimum;
};
ScaleMin SixBitPair(const uint8_t* packed, int sub) {
  if (sub < 4) return {packed[sub] & 63, packed[sub + 4] & 63};
  return {(packed[sub + 4] & 15) | ((packed[sub - 4] >> 6) << 4), (packed[sub + 4] >> 4) | ((packed[sub] >> 6) << 4)};
}

// Q4_K and Q5_K: the same but for the fifth bits, whose bit `sub` of byte l belongs to element 32 * sub + l.
void FourOrFiveBitK(const uint8_t* block, const uint8_t* fifth_bits, const uint8_t* codes, float* out) {
  float d = HalfAt(block), dmin = HalfAt(block + 2);
  for (int sub = 0; sub < 8; ++sub) {
    ScaleMin pair = SixBitPair(block + 4, sub);
    float scale = d * static_cast<float>(pair.scale);
    float minimum = dmin * static_cast<float>(pair.minimum);
    const uint8_t* bytes = codes + sub / 2 * 32;
    for (int i = 0; i < 32; ++i) {
      int code = (bytes[i] >> (sub % 2 * 4)) & 15;
      if (fifth_bits) code |= ((fifth_bits[i] >> sub) & 1) << 4;
      out[sub * 32 + i] = Affine(scale, static_cast<float>(code), -minimum);
    }
  }
}

void Q4_K(const uint8_t* block, float* out) { FourOrFiveBitK(block, nullptr, block + 16, out); }
void Q5_K(const uint8_t* block, float* out) { FourOrFiveBitK(block, block + 16, block + 48, out); }

void Q6_K(const uint8_t* block, float* out) {
  const uint8_t* low = block;         // per 128 elements 64 bytes: low nibbles elements 0..63, high nibbles 64..127
  const uint8_t* high = block + 128;  // per 128 elements 32 bytes: bits 2s of byte l for element 32 * s + l
  const uint8_t* scales = block + 192;
  float d = HalfAt(block + 208);
  for (int sub = 0; sub < 16; ++sub) {
    float scale = d * static_cast<float>(static_cast<int8_t>(scales[sub]));
    for (int i = sub * 16; i < sub * 16 + 16; ++i) {
      int nibble = (low[i / 128 * 64 + i % 64] >> (i % 128 / 64 * 4)) & 15;
      out[i] = scale * static_cast<float>((nibble | (TwoBitCode(high, i) << 4)) - 32);
    }
  }
}

// The 16 values of a code of IQ4_NL and IQ4_XS, in units of the scale (kvalues_iq4nl of ggml-common.h): closer together
// around zero, where weights are many.
constexpr std::array<float, 16> kNonLinear = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

// 32 codes in 16 bytes, split at the middle as in Q4_0.
void NonLinear(float scale, const uint8_t* codes, float* out) {
  for (int i = 0; i < 16; ++i) {
    out[i] = scale * kNonLinear[codes[i] & 15];
    out[i + 16] = scale * kNonLinear[codes[i] >> 4];
  }
}

void IQ4_NL(const uint8_t* block, float* out) { NonLinear(HalfAt(block), block + 2, out); }

void IQ4_XS(const uint8_t* block, float* out) {
  float d = HalfAt(block);
  int high = block[2] | (block[3] << 8);  // bits 2 * sub: the top two of the six bits of a scale
  const uint8_t* low = block + 4;         // the other four, two scales a byte
  const uint8_t* codes = block + 8;
  for (int sub = 0; sub < 8; ++sub) {
    int scale = ((low[sub / 2] >> (sub % 2 * 4)) & 15) | (((high >> (sub * 2)) & 3) << 4);
    NonLinear(d * static_cast<float>(scale - 32), codes + sub * 16, out + sub * 32);
  }
}

using BlockFunction = void (*)(const uint8_t* block, float* out);

BlockFunction FunctionOf(GgmlType type) {
  switch (type) {
    case GgmlType::kQ4_0:
      return Q4_0;
    case GgmlType::kQ4_1:
      return Q4_1;
    case GgmlType::kQ5_0:
      return Q5_0;
    case GgmlType::kQ5_1:
      return Q5_1;
    case GgmlType::kQ8_0:
      return Q8_0;
    case GgmlType::kQ2_K:
      return Q2_K;
    case GgmlType::kQ3_K:
      return Q3_K;
    case GgmlType::kQ4_K:
      return Q4_K;
    case GgmlType::kQ5_K:
      return Q5_K;
    case GgmlType::kQ6_K:
      return Q6_K;
    case GgmlType::kIQ4_NL:
      return IQ4_NL;
    case GgmlType::kIQ4_XS:
      return IQ4_XS;
    case GgmlType::kF32:
    case GgmlType::kF16:
    case GgmlType::kBF16:
      break;
  }
  return nullptr;
}

}  // namespace

const GgmlTypeInfo* FindGgmlType(uint32_t id) {
  for (const GgmlTypeInfo& info : kTypes) {
    if (static_cast<uint32_t>(info.type) == id) return &info;
  }
  return nullptr;
}

const GgmlTypeInfo& InfoOf(GgmlType type) {
  const GgmlTypeInfo* info = FindGgmlType(static_cast<uint32_t>(type));
  assert(info);
  return *info;
}

std::string GgmlTypeName(uint32_t id) {
  if (const GgmlTypeInfo* info = FindGgmlType(id)) return std::string(info->name);
  for (const NamedNumber& other : kUnsupported) {
    if (other.id == id) return std::string(other.name);
  }
  return fmt::format("type {}", id);
}

std::string SupportedGgmlTypes() {
  std::string names;
  for (const GgmlTypeInfo& info : kTypes) names += (names.empty() ? "" : ", ") + std::string(info.name);
  return names;
}

void Dequantize(GgmlType type, const std::byte* blocks, int64_t block_count, float* out) {
  auto count = static_cast<size_t>(block_count);
  switch (type) {
    case GgmlType::kF32:
      return ToFloat(DType::kF32, blocks, count, out);
    case GgmlType::kF16:
      return ToFloat(DType::kF16, blocks, count, out);
    case GgmlType::kBF16:
      return ToFloat(DType::kBF16, blocks, count, out);
    default:
      break;
  }
  const GgmlTypeInfo& info = InfoOf(type);
  BlockFunction function = FunctionOf(type);
  auto* block = reinterpret_cast<const uint8_t*>(blocks);
  for (int64_t i = 0; i < block_count; ++i) {
    function(block, out);
    block += info.block_bytes;
    out += info.block_elements;
  }
}

}  // namespace ecld
