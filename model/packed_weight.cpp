#include "model/packed_weight.h"

#include <ATen/ATen.h>

#include <utility>
#include <vector>

#include "core/error.h"
#include "kernels/gemm/gemm.h"
#include "model/tensor_checks.h"

namespace ecld {
namespace {

const std::byte* Bytes(const at::Tensor& tensor) {
  return tensor.defined() ? static_cast<const std::byte*>(tensor.const_data_ptr()) : nullptr;
}

}  // namespace

PackedWeight::PackedWeight(at::Tensor codes, at::Tensor scales, at::Tensor zero_points, int64_t in_features,
                           const PackedFormat& format, ThreadPool& pool)
    : codes_(std::move(codes)), scales_(std::move(scales)), zero_points_(std::move(zero_points)), pool_(&pool) {
  CheckFormat(format, "packed weight");
  if (in_features < 1) Fail("in_features", "is {}, must be at least 1", in_features);
  if (!codes_.defined() || codes_.dim() != 2) Fail("codes", "must be Int [out_features, words]");
  const int64_t out_features = codes_.size(0), groups = format.Groups(in_features);
  CheckTensor("codes", codes_, {at::kInt}, {out_features, format.CodeWords(in_features)}, at::kCPU);
  CheckTensor("scales", scales_, {at::kBFloat16, at::kHalf, at::kFloat}, {out_features, groups}, at::kCPU);
  if (format.symmetric && zero_points_.defined())
    Fail("zero_points", "are given, but the format {} has none", format.Name());
  if (!format.symmetric)
    CheckTensor("zero_points", zero_points_, {at::kInt}, {format.ZeroWords(out_features), groups}, at::kCPU);
  view_ = {.out_features = out_features,
           .in_features = in_features,
           .format = format,
           .codes = Bytes(codes_),
           .scales = Bytes(scales_),
           .scale_dtype = TypeOf(scales_),
           .zero_points = Bytes(zero_points_)};
}

PackedWeight PackedWeight::To(at::Device device) const {
  PackedWeight there = *this;
  there.tiled_ = {};
  there.device_ = device;
  if (device.is_cpu()) return there;
  there.device_ = at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(GpuNamed(device).ordinal));
  there.tiled_ = Tiled().To(there.device_);
  return there;
}

at::Tensor PackedWeight::Multiply(const at::Tensor& x) const {
  return device_.is_cpu() ? MultiplyOnProcessor(x) : MultiplyTiled(tiled_, x);
}

at::Tensor PackedWeight::MultiplyOnProcessor(const at::Tensor& x) const {
  CheckActivations(x, in_features(), device_);
  const at::Tensor rows = x.detach().to(at::kFloat).contiguous();
  std::vector<int64_t> sizes = x.sizes().vec();
  sizes.back() = out_features();
  const at::Tensor y = at::empty(sizes, at::kFloat);
  if (x.numel() > 0)
    Gemm({.weight = view_,
          .x = rows.const_data_ptr<float>(),
          .m = x.numel() / in_features(),
          .y = y.mutable_data_ptr<float>()},
         *pool_);
  return y.to(x.scalar_type());
}

}  // namespace ecld
