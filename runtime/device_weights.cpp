#include "runtime/device_weights.h"

#include <cstring>

#include "core/error.h"

namespace ecld {
namespace {

bool Dense16(const WeightView& weight) {
  return !weight.packed() && (weight.dtype == DType::kF16 || weight.dtype == DType::kBF16);
}

bool CanStack(const WeightView& above, const WeightView& below) {
  if (above.packed() && below.packed()) return CanCudaStack(above, below);
  return Dense16(above) && Dense16(below) && above.dtype == below.dtype && above.in_features == below.in_features;
}

}  // namespace

DeviceProduct DeviceLoader::Load(const std::vector<NamedWeight>& weights) {
  std::vector<WeightView> views;
  for (const auto& [weight, name] : weights) {
    if (!Dense16(weight) && !CanCudaTile(weight))
      Fail(
          where_,
          "{} is stored as {}{}; a GPU takes F16, BF16, and weights of 2, 3, 4 or 8 bits in groups of 32, 64, 128, ... "
          "inputs or whole rows, with scales of 16 bits",
          name, weight.packed() ? weight.format.Name() : std::string(ecld::Name(weight.dtype)),
          weight.packed() ? " with scales " + std::string(ecld::Name(weight.scale_dtype)) : "");
    views.push_back(weight);
  }
  DeviceProduct product{.in_features = views.front().in_features};
  for (size_t first = 0, end; first < views.size(); first = end) {
    for (end = first + 1; end < views.size() && CanStack(views[first], views[end]);) ++end;
    const auto parts = std::span(views).subspan(first, end - first);
    DeviceMatrix matrix = parts.front().packed() ? LoadPacked(parts) : LoadDense(parts);
    matrix.first_output = product.out_features;
    matrix.in_features = product.in_features;
    product.out_features += matrix.out_features;
    product.parts.push_back(matrix);
  }
  return product;
}

DeviceMatrix DeviceLoader::LoadPacked(std::span<const WeightView> parts) {
  const WeightView shape = CudaStackShape(parts);
  std::vector<std::byte> bytes(CudaTiledBytes(shape));
  CudaTile(parts, bytes.data(), pool_);
  return {.out_features = shape.out_features, .packed = CudaTiled(shape, Copy(bytes))};
}

DeviceMatrix DeviceLoader::LoadDense(std::span<const WeightView> parts) {
  const int64_t width = parts.front().in_features, stride = (width + 7) / 8 * 8;
  DeviceMatrix matrix{.dense_type = parts.front().dtype, .dense_stride = stride};
  for (const WeightView& part : parts) matrix.out_features += part.out_features;
  std::vector<std::byte> bytes(static_cast<size_t>(matrix.out_features * stride) * 2);
  std::byte* to = bytes.data();
  for (const WeightView& part : parts)
    for (int64_t row = 0; row < part.out_features; ++row, to += stride * 2)
      std::memcpy(to, part.data + row * width * 2, static_cast<size_t>(width) * 2);
  matrix.dense = reinterpret_cast<const uint16_t*>(Copy(bytes));
  return matrix;
}

const float* DeviceLoader::Load(std::span<const float> values) {
  if (values.empty()) return nullptr;
  std::byte* to = machine_.Allocate(values.size_bytes());
  machine_.Write(to, values.data(), values.size_bytes());
  return reinterpret_cast<const float*>(to);
}

const std::byte* DeviceLoader::Copy(const std::vector<std::byte>& bytes) {
  std::byte* to = machine_.Allocate(bytes.size());
  machine_.Write(to, bytes.data(), bytes.size());
  bytes_ += bytes.size();
  return to;
}

}  // namespace ecld
