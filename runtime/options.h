#pragma once
// How a checkpoint is run: to the letter, or fast.
//
// kExact: float32 activations and cache, weights as they lie in the files: what every other way is compared with.
// kFast:  what runs on a device: activations rounded where a matrix product gains by it (see kernels/gemm/gemm.h),
//         packed weights laid out for the processor (see tile_cache.h), and a half-precision cache.

#include <optional>
#include <string_view>

#include "kernels/attention/kv_type.h"

namespace ecld {

enum class Precision { kExact, kFast };

constexpr std::string_view Name(Precision precision) { return precision == Precision::kExact ? "exact" : "fast"; }

struct RuntimeOptions {
  Precision precision = Precision::kExact;
  std::optional<KvType> kv;  // default: f32 when exact, f16 when fast
  int threads = 0;           // that prepare the weights; 0 = all cores

  KvType Kv() const { return kv.value_or(precision == Precision::kExact ? KvType::kF32 : KvType::kF16); }
};

}  // namespace ecld
