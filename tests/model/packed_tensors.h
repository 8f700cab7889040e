#pragma once
// Random packed matrices as tensors, and dense.

#include <ATen/ATen.h>

#include <cstring>
#include <vector>

#include "tests/testing/owned_weight.h"

namespace ecld {

struct PackedTensors {
  at::Tensor codes, scales, zero_points, dense;
};

inline at::Tensor TensorOf(const std::byte* from, std::vector<int64_t> sizes, at::ScalarType type) {
  at::Tensor tensor = at::empty(sizes, type);
  std::memcpy(tensor.mutable_data_ptr(), from, tensor.nbytes());
  return tensor;
}

inline PackedTensors RandomPackedTensors(int64_t out, int64_t in, const PackedFormat& format, at::ScalarType scales,
                                         uint64_t seed) {
  Random random(seed);
  const DType scale_dtype = scales == at::kHalf ? DType::kF16 : scales == at::kFloat ? DType::kF32 : DType::kBF16;
  const OwnedWeight weight = OwnedWeight::Packed(out, in, format, scale_dtype, random);
  const WeightView& view = weight.view();
  PackedTensors tensors{.codes = TensorOf(view.codes, {out, format.CodeWords(in)}, at::kInt),
                        .scales = TensorOf(view.scales, {out, format.Groups(in)}, scales),
                        .zero_points = at::Tensor(),
                        .dense = at::empty({out, in}, at::kFloat)};
  if (!format.symmetric)
    tensors.zero_points = TensorOf(view.zero_points, {format.ZeroWords(out), format.Groups(in)}, at::kInt);
  for (int64_t row = 0; row < out; ++row) ReadRow(view, row, tensors.dense.data_ptr<float>() + row * in);
  return tensors;
}

inline std::vector<float> Values(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.to(at::kFloat).contiguous();
  return {flat.data_ptr<float>(), flat.data_ptr<float>() + flat.numel()};
}

}  // namespace ecld
