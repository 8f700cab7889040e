#pragma once
// How the keys and values of a cache are stored: float32, half, or 8 or 4 bits with one scale for each head's vector.

#include <string_view>

namespace ecld {

enum class KvType { kF32, kF16, kQ8, kQ4 };

inline constexpr KvType kKvTypes[] = {KvType::kF32, KvType::kF16, KvType::kQ8, KvType::kQ4};

// Of one element, scales aside.
constexpr int Bits(KvType type) {
  return type == KvType::kF32 ? 32 : type == KvType::kF16 ? 16 : type == KvType::kQ8 ? 8 : 4;
}

constexpr std::string_view Name(KvType type) {
  return type == KvType::kF32 ? "f32" : type == KvType::kF16 ? "f16" : type == KvType::kQ8 ? "q8" : "q4";
}

}  // namespace ecld
