#pragma once
// Scalar types in which weights are stored, and exact conversions to and from float.
// Conversions to a narrower float round to nearest, ties to even; NaN stays NaN.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace ecld {

enum class DType : uint8_t { kF64, kF32, kF16, kBF16, kF8E4M3, kF8E5M2, kI64, kI32, kI16, kI8, kU8, kBool, kF8E8M0 };

// Bytes of one element.
size_t SizeOf(DType dtype);

// The safetensors spelling ("BF16", "F8_E4M3", ...), and back; nullopt for an unknown name.
std::string_view Name(DType dtype);
std::optional<DType> DTypeFromName(std::string_view name);

// True for the types a weight matrix may be stored in.
bool IsFloat(DType dtype);

inline float Bf16ToFloat(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }

inline uint16_t FloatToBf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t nearest = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16, quiet_nan = (bits >> 16) | 0x40u;
  return static_cast<uint16_t>((bits & 0x7fffffffu) > 0x7f800000u ? quiet_nan : nearest);
}

float HalfToFloat(uint16_t bits);
uint16_t FloatToHalf(float value);
float F8E4M3ToFloat(uint8_t bits);  // the "fn" variant: no infinity, 0x7f and 0xff are NaN
float F8E5M2ToFloat(uint8_t bits);
float F8E8M0ToFloat(uint8_t bits);  // a power of two, 2^(bits - 127); 0xff is NaN

// Reads count elements of a float type stored at source (any alignment) into out.
// REQUIRES: IsFloat(dtype), source holds count elements.
void ToFloat(DType dtype, const std::byte* source, size_t count, float* out);

// Writes count floats as F32, F16 or BF16 to out (any alignment). REQUIRES: dtype is one of the three.
void FromFloat(DType dtype, const float* source, size_t count, std::byte* out);

}  // namespace ecld
