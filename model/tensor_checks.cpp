#include "model/tensor_checks.h"

#include <algorithm>
#include <sstream>

#include "core/error.h"

namespace ecld {
namespace {

std::string Text(at::IntArrayRef sizes) {
  std::ostringstream text;
  text << sizes;
  return text.str();
}

}  // namespace

std::string Text(const at::Tensor& tensor) {
  return fmt::format("{} {} on {}", c10::toString(tensor.scalar_type()), Text(tensor.sizes()), tensor.device().str());
}

DType TypeOf(const at::Tensor& tensor) {
  const at::ScalarType type = tensor.scalar_type();
  return type == at::kHalf ? DType::kF16 : type == at::kBFloat16 ? DType::kBF16 : DType::kF32;
}

void CheckTensor(const char* name, const at::Tensor& tensor, std::initializer_list<at::ScalarType> types,
                 at::IntArrayRef sizes, at::Device device) {
  if (!tensor.defined()) Fail(name, "is undefined; it must be {}", Text(sizes));
  if (std::find(types.begin(), types.end(), tensor.scalar_type()) == types.end() || tensor.sizes() != sizes)
    Fail(name, "is {}; it must be {} {}", Text(tensor), c10::toString(*types.begin()), Text(sizes));
  if (tensor.device() != device) Fail(name, "is {}; it must be on {}", Text(tensor), device.str());
  if (!tensor.is_contiguous()) Fail(name, "is not contiguous; call contiguous() on it");
}

}  // namespace ecld
