#pragma once
// A weight matrix [out_features, in_features] as it lies in memory, dense or packed: what a checkpoint hands out and
// what the kernels take. A view: it owns nothing, and the mapped file behind it must stay open.

#include <cstddef>
#include <cstdint>
#include <string>

#include "core/dtype.h"
#include "kernels/packing/packed_format.h"

namespace ecld {

struct WeightView {
  int64_t out_features = 0;
  int64_t in_features = 0;

  // Dense, row-major: data is set. dtype is any float type.
  DType dtype = DType::kF32;
  const std::byte* data = nullptr;

  // Packed: codes and scales are set (see packed_format.h for the shapes), zero_points only when asymmetric.
  PackedFormat format;
  const std::byte* codes = nullptr;  // uint32 words, any alignment
  const std::byte* scales = nullptr;
  DType scale_dtype = DType::kBF16;
  const std::byte* zero_points = nullptr;
  bool interleaved = false;  // the three arrays lie as interleaved.h says

  bool packed() const { return codes != nullptr; }
};

// Writes row `row` as floats into out[in_features], dequantizing when packed. For packed weights the product
// (u - zero_point) * scale is computed in float; this function defines a packed weight's value.
void ReadRow(const WeightView& weight, int64_t row, float* out);

// Bytes of all parts together.
uint64_t StoredBytes(const WeightView& weight);

}  // namespace ecld
