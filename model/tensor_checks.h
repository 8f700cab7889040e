#pragma once
// What a tensor that somebody hands in is, and whether it is what it must be.

#include <ATen/core/Tensor.h>

#include <initializer_list>
#include <string>

#include "core/dtype.h"

namespace ecld {

// "Half [40, 96] on cpu".
std::string Text(const at::Tensor& tensor);

// F16, BF16, and F32 for every other type.
DType TypeOf(const at::Tensor& tensor);

// THROWS Error unless the tensor is of one of these types and this shape, on the device, contiguous.
void CheckTensor(const char* name, const at::Tensor& tensor, std::initializer_list<at::ScalarType> types,
                 at::IntArrayRef sizes, at::Device device);

}  // namespace ecld
