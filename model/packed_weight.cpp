#include "model/packed_weight.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <sstream>
#include <utility>

#include "core/error.h"
#include "kernels/gemm/cuda_gemm.h"
#include "kernels/gemm/gemm.h"

namespace ecld {
namespace {

std::string Text(const at::Tensor& tensor) {
  std::ostringstream text;
  text << tensor.scalar_type() << " " << tensor.sizes() << " on " << tensor.device();
  return text.str();
}

// THROWS Error unless the tensor is of one of these types and this shape, contiguous, on the processor.
void CheckPart(const char* name, const at::Tensor& tensor, std::initializer_list<at::ScalarType> types, int64_t rows,
               int64_t columns) {
  if (!tensor.defined()) Fail(name, "is undefined; it must be [{}, {}]", rows, columns);
  if (std::find(types.begin(), types.end(), tensor.scalar_type()) == types.end() || tensor.dim() != 2 ||
      tensor.size(0) != rows || tensor.size(1) != columns)
    Fail(name, "is {}; it must be {} [{}, {}]", Text(tensor), c10::toString(*types.begin()), rows, columns);
  if (!tensor.device().is_cpu()) Fail(name, "is {}; it must be on the processor, To() takes it to a GPU", Text(tensor));
  if (!tensor.is_contiguous()) Fail(name, "is not contiguous; call contiguous() on it");
}

DType TypeOf(at::ScalarType type) {
  return type == at::kHalf ? DType::kF16 : type == at::kBFloat16 ? DType::kBF16 : DType::kF32;
}

const std::byte* Bytes(const at::Tensor& tensor) {
  return tensor.defined() ? static_cast<const std::byte*>(tensor.const_data_ptr()) : nullptr;
}
std::byte* MutableBytes(const at::Tensor& tensor) { return static_cast<std::byte*>(tensor.mutable_data_ptr()); }

// Torch's current stream of a GPU, asked without linking Torch's CUDA half.
CudaStream CurrentStream(at::Device device) {
  const c10::impl::VirtualGuardImpl guard(device.type());
  return static_cast<CudaStream>(guard.getStream(device).native_handle());
}

}  // namespace

PackedWeight::PackedWeight(at::Tensor codes, at::Tensor scales, at::Tensor zero_points, int64_t in_features,
                           const PackedFormat& format, ThreadPool& pool)
    : codes_(std::move(codes)), scales_(std::move(scales)), zero_points_(std::move(zero_points)), pool_(&pool) {
  CheckFormat(format, "packed weight");
  if (in_features < 1) Fail("in_features", "is {}, must be at least 1", in_features);
  if (!codes_.defined() || codes_.dim() != 2) Fail("codes", "must be Int [out_features, words]");
  const int64_t out_features = codes_.size(0), groups = format.Groups(in_features);
  CheckPart("codes", codes_, {at::kInt}, out_features, format.CodeWords(in_features));
  CheckPart("scales", scales_, {at::kBFloat16, at::kHalf, at::kFloat}, out_features, groups);
  if (format.symmetric && zero_points_.defined())
    Fail("zero_points", "are given, but the format {} has none", format.Name());
  if (!format.symmetric) CheckPart("zero_points", zero_points_, {at::kInt}, format.ZeroWords(out_features), groups);
  view_ = {.out_features = out_features,
           .in_features = in_features,
           .format = format,
           .codes = Bytes(codes_),
           .scales = Bytes(scales_),
           .scale_dtype = TypeOf(scales_.scalar_type()),
           .zero_points = Bytes(zero_points_)};
}

PackedWeight PackedWeight::To(at::Device device) const {
  PackedWeight there = *this;
  there.tiles_ = at::Tensor();
  there.device_ = device;
  if (device.is_cpu()) return there;
  if (!device.is_cuda()) Fail("device", "is {}, must be cpu or cuda", device.str());
  std::string why;
  const std::optional<CudaDevice> gpu = FindCudaDevice(&why);
  if (!gpu) Fail("device", "{} was asked for, but there is no GPU to run on: {}", device.str(), why);
  if (device.has_index() && device.index() != gpu->ordinal)
    Fail("device", "is {}, must be cuda:{}", device.str(), gpu->ordinal);
  if (!CanCudaTile(view_))
    Fail("packed weight",
         "is {} with scales {}; a GPU takes 2, 3, 4 or 8 bits in groups of 32, 64, 128, ... inputs or whole rows, with "
         "scales of 16 bits",
         view_.format.Name(), Name(view_.scale_dtype));
  const at::Tensor tiles = at::empty({static_cast<int64_t>(CudaTiledBytes(view_))}, at::kByte);
  CudaTile(view_, MutableBytes(tiles), *pool_);
  there.device_ = at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(gpu->ordinal));
  there.tiles_ = tiles.to(there.device_);
  there.gpu_ = *gpu;
  return there;
}

void PackedWeight::CheckInput(const at::Tensor& x) const {
  if (!x.defined() || x.dim() < 1) Fail("x", "must be [..., {}]", in_features());
  const bool floats = x.scalar_type() == at::kFloat && device_.is_cpu();
  if (!floats && x.scalar_type() != at::kHalf && x.scalar_type() != at::kBFloat16)
    Fail("x", "is {}; it must be {}Half or BFloat16", Text(x), device_.is_cpu() ? "Float, " : "");
  if (x.size(-1) != in_features()) Fail("x", "is {}; its last size must be {}", Text(x), in_features());
  if (x.device() != device_) Fail("x", "is {}; the weight is on {}", Text(x), device_.str());
  if (x.requires_grad() && c10::GradMode::is_enabled())
    Fail("x", "wants a gradient, and none goes through a packed weight; detach it, or multiply under NoGradGuard");
}

at::Tensor PackedWeight::Multiply(const at::Tensor& x) const {
  CheckInput(x);
  const at::Tensor rows = x.detach().reshape({-1, in_features()});
  const at::Tensor y = device_.is_cpu() ? MultiplyOnProcessor(rows) : MultiplyOnGpu(rows);
  std::vector<int64_t> sizes = x.sizes().vec();
  sizes.back() = out_features();
  return y.reshape(sizes);
}

at::Tensor PackedWeight::MultiplyOnProcessor(const at::Tensor& rows) const {
  const at::Tensor x = rows.to(at::kFloat).contiguous();
  const at::Tensor y = at::empty({x.size(0), out_features()}, at::kFloat);
  if (x.size(0) > 0)
    Gemm({.weight = view_, .x = x.const_data_ptr<float>(), .m = x.size(0), .y = y.mutable_data_ptr<float>()}, *pool_);
  return y.to(rows.scalar_type());
}

at::Tensor PackedWeight::MultiplyOnGpu(const at::Tensor& rows) const {
  // Rows on 16 bytes, one 16 bytes' multiple after the other.
  const int64_t m = rows.size(0), stride = (in_features() + 7) / 8 * 8;
  at::Tensor x = rows;
  if (rows.stride(1) != 1 || rows.stride(0) % 8 != 0 || rows.stride(0) < in_features() ||
      reinterpret_cast<uintptr_t>(rows.const_data_ptr()) % 16 != 0) {
    x = at::empty({m, stride}, rows.options()).narrow(1, 0, in_features());
    x.copy_(rows);
  }
  const at::Tensor y = at::empty({m, out_features()}, rows.options());
  const auto bytes = static_cast<int64_t>(CudaGemmWorkspace(out_features(), in_features(), m));
  const at::Tensor workspace = at::zeros({bytes}, rows.options().dtype(at::kByte));
  CudaGemm({.weight = CudaTiled(view_, Bytes(tiles_)),
            .type = TypeOf(rows.scalar_type()),
            .x = x.const_data_ptr(),
            .x_stride = x.stride(0),
            .m = m,
            .y = y.mutable_data_ptr(),
            .y_stride = out_features(),
            .workspace = MutableBytes(workspace)},
           gpu_, CurrentStream(device_));
  return y;
}

}  // namespace ecld
