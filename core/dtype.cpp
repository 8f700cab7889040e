#include "core/dtype.h"

#include <array>
#include <cassert>
#include <cmath>
#include <cstring>

namespace ecld {
namespace {

struct DTypeRow {
  DType dtype;
  std::string_view name;
  size_t bytes;
  bool is_float;
};

constexpr std::array kRows = {
    DTypeRow{DType::kF64, "F64", 8, true},        DTypeRow{DType::kF32, "F32", 4, true},
    DTypeRow{DType::kF16, "F16", 2, true},        DTypeRow{DType::kBF16, "BF16", 2, true},
    DTypeRow{DType::kF8E4M3, "F8_E4M3", 1, true}, DTypeRow{DType::kF8E5M2, "F8_E5M2", 1, true},
    DTypeRow{DType::kI64, "I64", 8, false},       DTypeRow{DType::kI32, "I32", 4, false},
    DTypeRow{DType::kI16, "I16", 2, false},       DTypeRow{DType::kI8, "I8", 1, false},
    DTypeRow{DType::kU8, "U8", 1, false},         DTypeRow{DType::kBool, "BOOL", 1, false},
    DTypeRow{DType::kF8E8M0, "F8_E8M0", 1, true},
};

const DTypeRow& Row(DType dtype) {
  const auto& row = kRows[static_cast<size_t>(dtype)];
  assert(row.dtype == dtype);
  return row;
}

// to[i] = convert(from[i]) for a fixed number of elements at any alignment, which compilers turn into vectors.
template <class From, class To, auto convert, size_t kCount>
void ConvertSome(const std::byte* from, std::byte* to) {
  From values[kCount];
  To results[kCount];
  std::memcpy(values, from, sizeof(values));
  for (size_t i = 0; i < kCount; ++i) results[i] = convert(values[i]);
  std::memcpy(to, results, sizeof(results));
}

template <class From, class To, auto convert>
void ConvertAll(const void* source, size_t count, void* out) {
  constexpr size_t kBlock = 64;  // more than compilers unroll, which would keep them from making vectors
  const auto* from = static_cast<const std::byte*>(source);
  auto* to = static_cast<std::byte*>(out);
  size_t i = 0;
  for (; i + kBlock <= count; i += kBlock)
    ConvertSome<From, To, convert, kBlock>(from + i * sizeof(From), to + i * sizeof(To));
  for (; i < count; ++i) ConvertSome<From, To, convert, 1>(from + i * sizeof(From), to + i * sizeof(To));
}

}  // namespace

size_t SizeOf(DType dtype) { return Row(dtype).bytes; }
std::string_view Name(DType dtype) { return Row(dtype).name; }
bool IsFloat(DType dtype) { return Row(dtype).is_float; }

std::optional<DType> DTypeFromName(std::string_view name) {
  for (const auto& row : kRows)
    if (row.name == name) return row.dtype;
  return std::nullopt;
}

float HalfToFloat(uint16_t bits) {
  uint32_t sign = uint32_t{bits & 0x8000u} << 16;
  uint32_t exponent = (bits >> 10) & 0x1fu;
  uint32_t mantissa = bits & 0x3ffu;
  if (exponent == 0x1f) return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
  if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
  float subnormal = static_cast<float>(mantissa) * 0x1p-24f;
  return sign ? -subnormal : subnormal;
}

uint16_t FloatToHalf(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  uint32_t sign = (bits >> 16) & 0x8000u;
  uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u);
  if (magnitude >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);  // rounds to infinity
  if (magnitude < 0x38800000u) {
    // Subnormal half: adding 0.5 lines the mantissa up so that the FPU rounds ties to even for us.
    float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) - 0x3f000000u));
  }
  uint32_t rounded = magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u);
  return static_cast<uint16_t>(sign | (rounded >> 13));
}

float F8E4M3ToFloat(uint8_t bits) {
  uint32_t exponent = (bits >> 3) & 0xfu;
  uint32_t mantissa = bits & 7u;
  float magnitude = exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -9)
                                  : std::ldexp(static_cast<float>(8 + mantissa), static_cast<int>(exponent) - 10);
  if (exponent == 0xf && mantissa == 7) magnitude = std::nanf("");
  return bits & 0x80u ? -magnitude : magnitude;
}

float F8E8M0ToFloat(uint8_t bits) { return bits == 0xff ? std::nanf("") : std::ldexp(1.0f, bits - 127); }

float F8E5M2ToFloat(uint8_t bits) { return HalfToFloat(static_cast<uint16_t>(bits << 8)); }

void ToFloat(DType dtype, const std::byte* source, size_t count, float* out) {
  switch (dtype) {
    case DType::kF32:
      std::memcpy(out, source, count * 4);
      return;
    case DType::kF64:
      return ConvertAll<double, float, [](double v) { return static_cast<float>(v); }>(source, count, out);
    case DType::kF16:
      return ConvertAll<uint16_t, float, HalfToFloat>(source, count, out);
    case DType::kBF16:
      return ConvertAll<uint16_t, float, Bf16ToFloat>(source, count, out);
    case DType::kF8E4M3:
      return ConvertAll<uint8_t, float, F8E4M3ToFloat>(source, count, out);
    case DType::kF8E5M2:
      return ConvertAll<uint8_t, float, F8E5M2ToFloat>(source, count, out);
    case DType::kF8E8M0:
      return ConvertAll<uint8_t, float, F8E8M0ToFloat>(source, count, out);
    default:
      assert(false && "ToFloat takes a float type");
  }
}

void FromFloat(DType dtype, const float* source, size_t count, std::byte* out) {
  switch (dtype) {
    case DType::kF32:
      std::memcpy(out, source, count * 4);
      return;
    case DType::kF16:
      return ConvertAll<float, uint16_t, FloatToHalf>(source, count, out);
    case DType::kBF16:
      return ConvertAll<float, uint16_t, FloatToBf16>(source, count, out);
    default:
      assert(false && "FromFloat writes F32, F16 or BF16");
  }
}

}  // namespace ecld
