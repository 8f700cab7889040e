// Operators that LibTorch's dispatcher knows once this library, libecld_operators.so, is loaded:
//
//   torch.ops.load_library("libecld_operators.so")                               # Python; C++: dlopen, or link with it
//   y = torch.ops.ecld.packed_linear(x, codes, scales, zero_points, out_features, bits, group_size)
//   codes, scales, *zero_points = torch.ops.ecld.tile_packed(codes, scales, zero_points, in_features, bits, group_size)
//
// packed_linear  x [..., in_features] -> [..., out_features] of its type. On the processor the weight's arrays are
//                those of a checkpoint (kernels/packing/packed_format.h), x float32, float16 or bfloat16; on a GPU
//                those that tile_packed has made of them, moved there, x float16 or bfloat16. zero_points: none where
//                symmetric. group_size 0: one scale for each row. Not differentiable.
// tile_packed    on the processor: the arrays as a GPU reads them (tiled_weight.h), two where symmetric, else three.
//
// Both have shapes without data (meta), so models with them can be exported and compiled. What does not fit is a
// ValueError. Products on the processor run one at a time, on as many threads as Torch may use.

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/library.h>

#include <memory>
#include <mutex>
#include <vector>

#include "core/error.h"
#include "model/packed_weight.h"
#include "model/tensor_checks.h"

namespace ecld {
namespace {

std::mutex pool_mutex;
std::unique_ptr<ThreadPool> shared_pool;

// An Error of ours as one of Torch's, with the operator in front.
template <class Call>
auto AsTorch(const char* where, const Call& call) {
  try {
    return call();
  } catch (const Error& error) {
    C10_THROW_ERROR(ValueError, fmt::format("{}: {}", where, error.what()));
  }
}

// One pool for all operators.
template <class Call>
auto WithPool(const Call& call) {
  const std::lock_guard lock(pool_mutex);
  if (!shared_pool || shared_pool->size() != at::get_num_threads())
    shared_pool = std::make_unique<ThreadPool>(at::get_num_threads());
  return call(*shared_pool);
}

at::Tensor OrUndefined(const std::optional<at::Tensor>& tensor) { return tensor.value_or(at::Tensor()); }

PackedFormat FormatOf(int64_t bits, int64_t group_size, const std::optional<at::Tensor>& zero_points) {
  if (bits < 2 || bits > 8) Fail("bits", "is {}, must be 2 to 6, or 8", bits);
  return {.bits = static_cast<int>(bits), .group_size = group_size, .symmetric = !OrUndefined(zero_points).defined()};
}

int64_t WidthOf(const at::Tensor& x) {
  if (x.dim() < 1) Fail("x", "is a single number; it must be [..., in_features]");
  return x.size(-1);
}

at::Tensor LinearOnProcessor(const at::Tensor& x, const at::Tensor& codes, const at::Tensor& scales,
                             const std::optional<at::Tensor>& zero_points, int64_t out_features, int64_t bits,
                             int64_t group_size) {
  return AsTorch("ecld::packed_linear", [&] {
    return WithPool([&](ThreadPool& pool) {
      const PackedWeight weight(codes, scales, OrUndefined(zero_points), WidthOf(x),
                                FormatOf(bits, group_size, zero_points), pool);
      if (weight.out_features() != out_features)
        Fail("out_features", "is {}; codes have {} rows", out_features, weight.out_features());
      return weight.Multiply(x);
    });
  });
}

at::Tensor LinearOnGpu(const at::Tensor& x, const at::Tensor& codes, const at::Tensor& scales,
                       const std::optional<at::Tensor>& zero_points, int64_t out_features, int64_t bits,
                       int64_t group_size) {
  return AsTorch("ecld::packed_linear on a GPU, with weights by tile_packed", [&] {
    const TiledWeight weight = {.out_features = out_features,
                                .in_features = WidthOf(x),
                                .format = FormatOf(bits, group_size, zero_points),
                                .codes = codes,
                                .scales = scales,
                                .zero_points = OrUndefined(zero_points)};
    return MultiplyTiled(weight, x);
  });
}

at::Tensor LinearShape(const at::Tensor& x, const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&,
                       int64_t out_features, int64_t, int64_t) {
  if (x.dim() < 1) C10_THROW_ERROR(ValueError, "ecld::packed_linear: x: is a single number");
  std::vector<c10::SymInt> sizes = x.sym_sizes().vec();
  sizes.back() = out_features;
  return at::empty_symint(sizes, x.options());
}

std::vector<at::Tensor> Parts(const TiledWeight& tiled) {
  std::vector<at::Tensor> parts = {tiled.codes, tiled.scales};
  if (tiled.zero_points.defined()) parts.push_back(tiled.zero_points);
  return parts;
}

std::vector<at::Tensor> TilePacked(const at::Tensor& codes, const at::Tensor& scales,
                                   const std::optional<at::Tensor>& zero_points, int64_t in_features, int64_t bits,
                                   int64_t group_size) {
  return AsTorch("ecld::tile_packed", [&] {
    return WithPool([&](ThreadPool& pool) {
      const PackedFormat format = FormatOf(bits, group_size, zero_points);
      return Parts(PackedWeight(codes, scales, OrUndefined(zero_points), in_features, format, pool).Tiled());
    });
  });
}

std::vector<at::Tensor> TileShapes(const at::Tensor& codes, const at::Tensor& scales,
                                   const std::optional<at::Tensor>& zero_points, int64_t in_features, int64_t bits,
                                   int64_t group_size) {
  return AsTorch("ecld::tile_packed", [&] {
    const std::byte none{};
    const PackedFormat format = FormatOf(bits, group_size, zero_points);
    CheckFormat(format, "packed weight");
    if (in_features < 1) Fail("in_features", "is {}, must be at least 1", in_features);
    if (codes.dim() != 2) Fail("codes", "must be Int [out_features, words]");
    return Parts(TiledShape({.out_features = codes.size(0),
                             .in_features = in_features,
                             .format = format,
                             .codes = &none,
                             .scale_dtype = TypeOf(scales)}));
  });
}

}  // namespace

TORCH_LIBRARY(ecld, library) {
  library.def(
      "packed_linear(Tensor x, Tensor codes, Tensor scales, Tensor? zero_points, int out_features, int bits, int "
      "group_size) -> Tensor",
      {at::Tag::pt2_compliant_tag});
  library.def(
      "tile_packed(Tensor codes, Tensor scales, Tensor? zero_points, int in_features, int bits, int group_size) -> "
      "Tensor[]",
      {at::Tag::pt2_compliant_tag});
}

TORCH_LIBRARY_IMPL(ecld, CPU, library) {
  library.impl("packed_linear", LinearOnProcessor);
  library.impl("tile_packed", TilePacked);
}

TORCH_LIBRARY_IMPL(ecld, CUDA, library) { library.impl("packed_linear", LinearOnGpu); }

TORCH_LIBRARY_IMPL(ecld, Meta, library) {
  library.impl("packed_linear", LinearShape);
  library.impl("tile_packed", TileShapes);
}

}  // namespace ecld
