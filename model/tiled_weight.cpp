#include "model/tiled_weight.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "core/error.h"
#include "kernels/cuda/lanes.h"
#include "model/tensor_checks.h"

namespace ecld {
namespace {

std::byte* Bytes(const at::Tensor& tensor) {
  return tensor.defined() ? static_cast<std::byte*>(tensor.mutable_data_ptr()) : nullptr;
}

// Torch's current stream of a GPU, asked without linking Torch's CUDA half.
CudaStream CurrentStream(at::Device device) {
  const c10::impl::VirtualGuardImpl guard(device.type());
  return static_cast<CudaStream>(guard.getStream(device).native_handle());
}

CudaWeight WeightOf(const TiledWeight& weight) {
  return {.out_features = weight.out_features,
          .in_features = weight.in_features,
          .format = weight.format,
          .scale_dtype = TypeOf(weight.scales),
          .codes = Bytes(weight.codes),
          .scales = Bytes(weight.scales),
          .zeros = Bytes(weight.zero_points)};
}

void CheckAligned(const char* name, const at::Tensor& tensor) {
  if (reinterpret_cast<uintptr_t>(tensor.const_data_ptr()) % 16 != 0)
    Fail(name, "begins between multiples of 16 bytes; clone() it");
}

}  // namespace

TiledWeight TiledWeight::To(at::Device device) const {
  TiledWeight there = *this;
  for (at::Tensor* tensor : {&there.codes, &there.scales, &there.zero_points})
    if (tensor->defined()) *tensor = tensor->to(device);
  return there;
}

TiledWeight TiledShape(const WeightView& rows) {
  if (!CanCudaTile(rows))
    Fail("packed weight",
         "is {} with scales {}; a GPU takes 2, 3, 4 or 8 bits in groups of 32, 64, 128, ... inputs or whole rows, with "
         "scales of 16 bits",
         rows.format.Name(), Name(rows.scale_dtype));
  const CudaWeight shape = {.out_features = rows.out_features, .in_features = rows.in_features};
  const int64_t groups = rows.format.Groups(rows.in_features);
  const auto on_meta = [](std::initializer_list<int64_t> sizes, at::ScalarType type) {
    return at::empty(sizes, at::device(at::kMeta).dtype(type));
  };
  TiledWeight tiled = {.out_features = rows.out_features, .in_features = rows.in_features, .format = rows.format};
  tiled.codes = on_meta({shape.TilesN(), shape.TilesK(), cuda::TileBytes(rows.format.bits)}, at::kByte);
  tiled.scales =
      on_meta({shape.TilesN(), groups, kCudaTile}, rows.scale_dtype == DType::kF16 ? at::kHalf : at::kBFloat16);
  if (!rows.format.symmetric) tiled.zero_points = on_meta({shape.TilesN(), groups, kCudaTile}, at::kByte);
  return tiled;
}

TiledWeight Tile(const WeightView& rows, ThreadPool& pool) {
  TiledWeight tiled = TiledShape(rows);
  const at::Tensor bytes = at::empty({static_cast<int64_t>(CudaTiledBytes(rows))}, at::kByte);
  CudaTile(rows, Bytes(bytes), pool);
  const CudaWeight parts = CudaTiled(rows, Bytes(bytes));
  const auto take = [](at::Tensor& tensor, const std::byte* from) {
    if (!tensor.defined()) return;
    tensor = at::empty(tensor.sizes(), tensor.options().device(at::kCPU));
    std::copy_n(from, tensor.nbytes(), Bytes(tensor));
  };
  take(tiled.codes, parts.codes);
  take(tiled.scales, parts.scales);
  take(tiled.zero_points, parts.zeros);
  return tiled;
}

void CheckTiled(const TiledWeight& weight, at::Device device) {
  CheckFormat(weight.format, "packed weight");
  if (weight.out_features < 1) Fail("out_features", "is {}, must be at least 1", weight.out_features);
  if (weight.in_features < 1) Fail("in_features", "is {}, must be at least 1", weight.in_features);
  const std::byte none{};
  const bool halves = weight.scales.defined() && weight.scales.scalar_type() == at::kHalf;
  const TiledWeight shape = TiledShape({.out_features = weight.out_features,
                                        .in_features = weight.in_features,
                                        .format = weight.format,
                                        .codes = &none,
                                        .scale_dtype = halves ? DType::kF16 : DType::kBF16});
  const auto check = [device](const char* name, const at::Tensor& tensor, const at::Tensor& wanted,
                              std::initializer_list<at::ScalarType> types) {
    CheckTensor(name, tensor, types, wanted.sizes(), device);
    CheckAligned(name, tensor);
  };
  check("codes", weight.codes, shape.codes, {at::kByte});
  check("scales", weight.scales, shape.scales, {at::kBFloat16, at::kHalf});
  if (!weight.format.symmetric) check("zero_points", weight.zero_points, shape.zero_points, {at::kByte});
}

void CheckActivations(const at::Tensor& x, int64_t in_features, at::Device device) {
  if (!x.defined() || x.dim() < 1) Fail("x", "must be [..., {}]", in_features);
  const bool floats = x.scalar_type() == at::kFloat && device.is_cpu();
  if (!floats && x.scalar_type() != at::kHalf && x.scalar_type() != at::kBFloat16)
    Fail("x", "is {}; it must be {}Half or BFloat16", Text(x), device.is_cpu() ? "Float, " : "");
  if (x.size(-1) != in_features) Fail("x", "is {}; its last size must be {}", Text(x), in_features);
  if (x.device() != device) Fail("x", "is {}; the weight is on {}", Text(x), device.str());
  if (x.requires_grad() && c10::GradMode::is_enabled())
    Fail("x", "wants a gradient, and none goes through a packed weight; detach it, or multiply under NoGradGuard");
}

int64_t TiledWorkspaceBytes(const TiledWeight& weight, int64_t m) {
  return static_cast<int64_t>(CudaGemmWorkspace(weight.out_features, weight.in_features, m));
}

TiledProduct AskProduct(const TiledWeight& weight, const at::Tensor& rows, const at::Tensor& workspace) {
  // Rows on 16 bytes, one 16 bytes' multiple after the other.
  const int64_t m = rows.size(0), k = weight.in_features;
  TiledProduct product = {.x = rows, .y = at::empty({m, weight.out_features}, rows.options()), .args = {}};
  if (rows.stride(1) != 1 || rows.stride(0) % 8 != 0 || rows.stride(0) < k ||
      reinterpret_cast<uintptr_t>(rows.const_data_ptr()) % 16 != 0) {
    product.x = at::empty({m, (k + 7) / 8 * 8}, rows.options()).narrow(1, 0, k);
    product.x.copy_(rows);
  }
  product.args = {.weight = WeightOf(weight),
                  .type = TypeOf(rows),
                  .x = product.x.const_data_ptr(),
                  .x_stride = product.x.stride(0),
                  .m = m,
                  .y = product.y.mutable_data_ptr(),
                  .y_stride = weight.out_features,
                  .workspace = Bytes(workspace)};
  return product;
}

at::Tensor StreamWorkspaces::For(CudaStream stream, uint64_t capture, int64_t bytes, at::Device device) {
  const std::lock_guard lock(mutex_);
  Kept& kept = kept_[{stream, capture != 0}];
  if (!kept.workspace.defined() || kept.capture != capture || kept.workspace.numel() < bytes ||
      kept.workspace.device() != device)
    kept = {capture, at::zeros({bytes}, at::device(device).dtype(at::kByte))};
  return kept.workspace;
}

CudaDevice GpuNamed(at::Device device) {
  if (!device.is_cuda()) Fail("device", "is {}, must be cuda", device.str());
  std::string why;
  static std::mutex mutex;
  static std::optional<CudaDevice> gpu;  // asking for it takes longer than a small product
  const std::lock_guard lock(mutex);
  if (!gpu) gpu = FindCudaDevice(&why);
  if (!gpu) Fail("device", "{} was asked for, but there is no GPU to run on: {}", device.str(), why);
  if (device.has_index() && device.index() != gpu->ordinal)
    Fail("device", "is {}, must be cuda:{}", device.str(), gpu->ordinal);
  return *gpu;
}

at::Tensor MultiplyTiled(const TiledWeight& weight, const at::Tensor& x) {
  // Never destroyed: the driver may be gone when the process ends.
  static StreamWorkspaces& workspaces = *new StreamWorkspaces;
  const at::Device device = weight.codes.device();
  CheckActivations(x, weight.in_features, device);
  CheckTiled(weight, device);
  const CudaDevice gpu = GpuNamed(device);
  std::vector<int64_t> sizes = x.sizes().vec();
  sizes.back() = weight.out_features;
  if (x.numel() == 0) return at::empty(sizes, x.options());
  const at::Tensor rows = x.detach().reshape({-1, weight.in_features});
  const CudaStream stream = CurrentStream(device);
  const at::Tensor workspace =
      workspaces.For(stream, cuda::CaptureOf(stream), TiledWorkspaceBytes(weight, rows.size(0)), device);
  const TiledProduct product = AskProduct(weight, rows, workspace);
  CudaGemm(product.args, gpu, stream);
  return product.y.reshape(sizes);
}

}  // namespace ecld
