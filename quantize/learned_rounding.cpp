#include "quantize/learned_rounding.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <span>

#include "core/threads.h"

namespace ecld {
namespace {

constexpr double kSmallestPart = 0.25;

// The value of `with`, the gradient of `instead`. The sum is exact only up to rounding, so where no gradient is wanted
// the value itself is given.
at::Tensor StraightThrough(const at::Tensor& with, const at::Tensor& instead) {
  if (!at::GradMode::is_enabled()) return with;
  return instead + (with - instead).detach();
}

at::Tensor Stored(const at::Tensor& scales, DType dtype) {
  if (dtype == DType::kF32) return scales;
  const at::ScalarType type = dtype == DType::kBF16 ? at::kBFloat16 : at::kHalf;
  return StraightThrough(scales.to(type).to(at::kFloat), scales);
}

// [out, in] -> [out, groups, group_size]; a short last group is filled up with zeros, which every range holds anyway.
at::Tensor Grouped(const at::Tensor& weights, const PackedFormat& format) {
  const int64_t in = weights.size(1), size = format.GroupSize(in), groups = format.Groups(in);
  return at::constant_pad_nd(weights, {0, groups * size - in}).view({weights.size(0), groups, size});
}

// [out, groups] -> [out, in].
at::Tensor ForEachInput(const at::Tensor& of_groups, const PackedFormat& format, int64_t in) {
  return of_groups.repeat_interleave(format.GroupSize(in), 1).slice(1, 0, in);
}

}  // namespace

void LearnedRounding::Clamp() {
  offset.clamp_(-0.5, 0.5);
  low.clamp_(kSmallestPart, 1);
  high.clamp_(kSmallestPart, 1);
}

LearnedRounding StartRounding(const at::Tensor& weights, const PackedFormat& format, Clip clip, DType scale_dtype) {
  at::NoGradGuard no_grad;
  const int64_t rows = weights.size(0), in = weights.size(1), groups = format.Groups(in);
  const int64_t group_size = format.GroupSize(in);
  at::Tensor part = at::ones({rows, groups});
  if (clip != Clip::kMinMax) {
    ThreadPool pool(at::get_num_threads());
    pool.ParallelFor(rows, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin * groups; i < end * groups; ++i) {
        const int64_t first = i % groups * group_size;
        const std::span<const float> group(weights.const_data_ptr<float>() + i / groups * in + first,
                                           static_cast<size_t>(std::min(group_size, in - first)));
        const float whole = FitGrid(group, format, Clip::kMinMax, scale_dtype).scale;
        part.data_ptr<float>()[i] = FitGrid(group, format, clip, scale_dtype).scale / whole;
      }
    });
  }
  LearnedRounding start{at::zeros_like(weights), part, part.clone()};
  start.Clamp();
  return start;
}

RoundedTensors Round(const at::Tensor& weights, const LearnedRounding& rounding, const PackedFormat& format,
                     DType scale_dtype) {
  const int64_t in = weights.size(1);
  const at::Tensor grouped = Grouped(weights, format);
  const at::Tensor low = grouped.amin(2).clamp_max(0) * rounding.low,
                   high = grouped.amax(2).clamp_min(0) * rounding.high;
  const double steps = format.MaxCode();
  const at::Tensor scales = format.symmetric ? at::maximum(-low, high) / (steps / 2) : high / steps - low / steps;
  RoundedTensors rounded;
  rounded.scales = Stored(scales.clamp_min(1e-7), scale_dtype);
  if (format.symmetric) {
    rounded.zero_points = at::full_like(rounded.scales, format.MidCode());
  } else {
    const at::Tensor wanted = (-low / rounded.scales).clamp(0, steps);
    rounded.zero_points = StraightThrough(wanted.round(), wanted);
  }
  const at::Tensor scale = ForEachInput(rounded.scales, format, in);
  const at::Tensor zero_point = ForEachInput(rounded.zero_points, format, in);
  const at::Tensor wanted = weights / scale + zero_point + rounding.offset;
  rounded.codes = StraightThrough(wanted.round(), wanted).clamp(0, steps);
  rounded.values = (rounded.codes - zero_point) * scale;
  return rounded;
}

}  // namespace ecld
