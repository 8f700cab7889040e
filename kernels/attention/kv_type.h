#pragma once
// How the keys and values of a cache are stored: float32, half, or 8 bits with one scale for each head's vector.

#include <string_view>

namespace ecld {

enum class KvType { kF32, kF16, kQ8 };

constexpr std::string_view Name(KvType type) {
  return type == KvType::kF32 ? "f32" : type == KvType::kF16 ? "f16" : "q8";
}

}  // namespace ecld
