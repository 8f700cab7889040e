#include "quantize/learned_rounding.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <span>

namespace ecld {
namespace {

constexpr double kSmallestPart = 0.25;

// One group of a matrix.
struct Group {
  int64_t index;  // in [out, groups]
  int64_t first;  // of its weights, in [out, in]
  std::span<const float> weights;
  Range range;
};

template <class Body>  // (const Group&)
void ForAllGroups(const at::Tensor& weights, const PackedFormat& format, ThreadPool& pool, Body body) {
  const int64_t in = weights.size(1), groups = format.Groups(in);
  const float* data = weights.const_data_ptr<float>();
  pool.ShareOut(weights.size(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const std::span whole(data + row * in, static_cast<size_t>(in));
      ForGroups(whole, format, [&](size_t group, size_t first, std::span<const float> members) {
        body(Group{row * groups + static_cast<int64_t>(group), row * in + static_cast<int64_t>(first), members,
                   RangeOf(members)});
      });
    }
  });
}

// The gradient to where a grid ends, from that to its scale and zero point; `ends` are scaled parts of the range.
Range OfEnds(const Range& ends, const GroupGrid& grid, float of_scale, float of_zero_point,
             const PackedFormat& format) {
  const auto steps = static_cast<float>(format.MaxCode());
  if (format.symmetric) {  // scale = max(-low, high) / (steps / 2)
    const float of_low = -ends.low > ends.high ? 1.0f : -ends.low < ends.high ? 0.0f : 0.5f;
    const float of_reach = of_scale / (steps / 2);
    return {-of_low * of_reach, (1 - of_low) * of_reach};
  }
  Range of_ends{0, 0};  // zero point = -low / scale, scale = (high - low) / steps
  if (-ends.low <= steps * grid.scale) {
    of_ends.low = -of_zero_point / grid.scale;
    of_scale += of_zero_point * ends.low / (grid.scale * grid.scale);
  }
  of_ends.low -= of_scale / steps;
  of_ends.high = of_scale / steps;
  return of_ends;
}

}  // namespace

void LearnedRounding::Step(const LearnedRounding& gradient, double rate) {
  offset.sub_(gradient.offset.sign(), rate).clamp_(-0.5, 0.5);
  low.sub_(gradient.low.sign(), rate).clamp_(kSmallestPart, 1);
  high.sub_(gradient.high.sign(), rate).clamp_(kSmallestPart, 1);
}

LearnedRounding StartRounding(const at::Tensor& weights, const PackedFormat& format, Clip clip, DType scale_dtype,
                              ThreadPool& pool) {
  at::Tensor part = at::ones({weights.size(0), format.Groups(weights.size(1))});
  float* parts = part.data_ptr<float>();
  if (clip != Clip::kMinMax)
    ForAllGroups(weights, format, pool, [&](const Group& group) {
      const float whole = GridOfRange(group.range.low, group.range.high, format, scale_dtype).scale;
      parts[group.index] = FitGrid(group.weights, format, clip, scale_dtype).scale / whole;
    });
  part.clamp_(kSmallestPart, 1);
  return {at::zeros_like(weights), part, part.clone()};
}

RoundedMatrix Round(const at::Tensor& weights, const LearnedRounding& rounding, const PackedFormat& format,
                    DType scale_dtype, ThreadPool& pool) {
  RoundedMatrix rounded(format, scale_dtype, weights.size(0), weights.size(1));
  const float *low = rounding.low.const_data_ptr<float>(), *high = rounding.high.const_data_ptr<float>();
  const float* offsets = rounding.offset.const_data_ptr<float>();
  const auto max_code = static_cast<float>(format.MaxCode());
  ForAllGroups(weights, format, pool, [&](const Group& group) {
    const GroupGrid grid =
        GridOfRange(group.range.low * low[group.index], group.range.high * high[group.index], format, scale_dtype);
    rounded.grids[static_cast<size_t>(group.index)] = grid;
    const float *weight = group.weights.data(), *offset = offsets + group.first, scale = grid.scale;
    const auto zero_point = static_cast<float>(grid.zero_point);
    uint8_t* code = rounded.codes.data() + group.first;
    for (size_t i = 0; i < group.weights.size(); ++i)
      code[i] = static_cast<uint8_t>(NearestCode(weight[i], scale, zero_point + offset[i], max_code));
  });
  return rounded;
}

LearnedRounding GradientOf(const at::Tensor& weights, const LearnedRounding& rounding, const PackedFormat& format,
                           DType scale_dtype, const at::Tensor& of_values, ThreadPool& pool) {
  LearnedRounding gradient{at::empty_like(rounding.offset), at::empty_like(rounding.low),
                           at::empty_like(rounding.high)};
  const at::Tensor dense_gradient = of_values.contiguous();
  const float *low = rounding.low.const_data_ptr<float>(), *high = rounding.high.const_data_ptr<float>();
  const float *offsets = rounding.offset.const_data_ptr<float>(), *given = dense_gradient.const_data_ptr<float>();
  float *of_offsets = gradient.offset.data_ptr<float>(), *of_low = gradient.low.data_ptr<float>();
  float* of_high = gradient.high.data_ptr<float>();
  const auto max_code = static_cast<float>(format.MaxCode());
  ForAllGroups(weights, format, pool, [&](const Group& group) {
    const Range ends{group.range.low * low[group.index], group.range.high * high[group.index]};
    const GroupGrid grid = GridOfRange(ends.low, ends.high, format, scale_dtype);
    const auto zero_point = static_cast<float>(grid.zero_point);
    float of_scale = 0, of_zero_point = 0;
    for (size_t i = 0; i < group.weights.size(); ++i) {
      const auto at = static_cast<size_t>(group.first) + i;
      const float weight = group.weights[i], shift = zero_point + offsets[at], of_value = given[at];
      const float steps = weight / grid.scale, wanted = steps + shift;
      const bool inside = wanted >= -0.5f && wanted <= max_code + 0.5f;
      const float code = NearestCode(weight, grid.scale, shift, max_code);
      of_offsets[at] = inside ? of_value * grid.scale : 0.0f;
      of_scale += of_value * (code - zero_point - (inside ? steps : 0.0f));
      of_zero_point -= inside ? 0.0f : of_value * grid.scale;
    }
    const Range of_ends = OfEnds(ends, grid, of_scale, of_zero_point, format);
    of_low[group.index] = of_ends.low * group.range.low;
    of_high[group.index] = of_ends.high * group.range.high;
  });
  return gradient;
}

}  // namespace ecld
