#pragma once
// Tensors and numbers of a run as the arrays of a file, and back.

#include <ATen/ops/tensor.h>

#include <string>
#include <vector>

#include "offload/named_arrays.h"

namespace ecld::offload {

// What names a run's state in errors.
inline constexpr const char* kStateOfRun = "the state of a run";

inline NamedArray ArrayOf(const at::Tensor& tensor) {
  const at::Tensor values = tensor.detach().to(at::kDouble).contiguous();
  return {values.sizes().vec(), {values.data_ptr<double>(), values.data_ptr<double>() + values.numel()}};
}

inline NamedArray ArrayOf(const std::vector<double>& values) {
  return {{static_cast<int64_t>(values.size())}, values, DType::kF64};
}

// THROWS Error: not there, of another size.
inline void ReadInto(at::Tensor to, const NamedArrays& state, const std::string& name) {
  to.copy_(at::tensor(ArrayIn(state, name, to.sizes().vec(), kStateOfRun).values, at::kDouble).view(to.sizes()));
}

inline std::vector<double> NumbersIn(const NamedArrays& state, const std::string& name, size_t size) {
  return ArrayIn(state, name, {static_cast<int64_t>(size)}, kStateOfRun).values;
}

}  // namespace ecld::offload
