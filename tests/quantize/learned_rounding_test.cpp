#include "quantize/learned_rounding.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <span>
#include <vector>

#include "tests/testing/near.h"
#include "tests/testing/small_layer.h"

namespace ecld {
namespace {

// The value of `with`, the gradient of `instead`.
at::Tensor StraightThrough(const at::Tensor& with, const at::Tensor& instead) {
  return instead + (with - instead).detach();
}

// AutoRound's equations (3) in Torch's operations, which know their gradients: [out, in] values of weights whose groups
// are all whole, scales in float32.
at::Tensor ValuesByGraph(const at::Tensor& weights, const LearnedRounding& rounding, const PackedFormat& format) {
  const at::Tensor grouped = weights.view({weights.size(0), -1, format.group_size});
  const at::Tensor low = grouped.amin(2).clamp_max(0) * rounding.low,
                   high = grouped.amax(2).clamp_min(0) * rounding.high;
  const double steps = format.MaxCode();
  const at::Tensor scale = format.symmetric ? at::maximum(-low, high) / (steps / 2) : high / steps - low / steps;
  at::Tensor zero_point = at::full_like(scale, format.MidCode());
  if (!format.symmetric) {
    const at::Tensor wanted = (-low / scale).clamp(0, steps);
    zero_point = StraightThrough(wanted.round(), wanted);
  }
  const at::Tensor scales = scale.unsqueeze(2), zero_points = zero_point.unsqueeze(2);
  const at::Tensor wanted = grouped / scales + zero_points + rounding.offset.view_as(grouped);
  const at::Tensor codes = StraightThrough(wanted.round(), wanted).clamp(0, steps);
  return ((codes - zero_points) * scales).view_as(weights);
}

std::vector<float> Scales(const RoundedMatrix& rounded) {
  std::vector<float> scales;
  for (const GroupGrid& grid : rounded.grids) scales.push_back(grid.scale);
  return scales;
}

TEST(LearnedRounding, StartsAsRoundingToNearest) {
  const at::Tensor weights = RandomWeights(6, 80, 1);  // a ragged last group
  ThreadPool pool(2);
  for (int bits : {2, 4})
    for (bool symmetric : {false, true}) {
      const PackedFormat format{bits, 32, symmetric};
      const RoundedMatrix rounded =
          Round(weights, StartRounding(weights, format, Clip::kMinMax, DType::kBF16, pool), format, DType::kBF16, pool);
      for (size_t row = 0; row < 6; ++row)
        for (size_t group = 0; group < 3; ++group) {
          const size_t first = row * 80 + group * 32, count = group == 2 ? 16 : 32;
          const std::span<const float> members(weights.data_ptr<float>() + first, count);
          const GroupGrid grid = FitGrid(members, format, Clip::kMinMax, DType::kBF16);
          EXPECT_EQ(rounded.grids[row * 3 + group].scale, grid.scale);
          EXPECT_EQ(rounded.grids[row * 3 + group].zero_point, grid.zero_point);
          std::vector<uint8_t> codes(count);
          RoundToGrid(members, grid, bits, codes.data());
          EXPECT_TRUE(Near(std::span(rounded.codes).subspan(first, count), codes, Exact())) << format.Name();
        }
    }
}

TEST(LearnedRounding, MseStartsFromShrunkenRanges) {
  ThreadPool pool(1);
  const LearnedRounding start = StartRounding(RandomWeights(4, 64, 2), {2, 32, true}, Clip::kMse, DType::kF32, pool);
  EXPECT_LT(start.low.max().item<float>(), 1);
  EXPECT_GT(start.low.min().item<float>(), 0.2);
}

TEST(LearnedRounding, ValuesAndGradientsAreThoseOfTheGraph) {
  const at::Tensor weights = RandomWeights(48, 96, 3), of_values = RandomWeights(48, 96, 4);
  for (int bits : {2, 4, 8})
    for (bool symmetric : {false, true}) {
      const PackedFormat format{bits, 32, symmetric};
      LearnedRounding rounding{at::rand({48, 96}) - 0.5, at::rand({48, 3}) * 0.7 + 0.3,
                               at::rand({48, 3}) * 0.7 + 0.3};  // short ranges: codes are clipped at both ends
      ThreadPool one(1), three(3);
      const RoundedMatrix rounded = Round(weights, rounding, format, DType::kF32, three);
      const LearnedRounding gradient = GradientOf(weights, rounding, format, DType::kF32, of_values, three);
      EXPECT_TRUE(
          at::equal(gradient.offset, GradientOf(weights, rounding, format, DType::kF32, of_values, one).offset));

      for (at::Tensor* parameter : {&rounding.offset, &rounding.low, &rounding.high})
        parameter->set_requires_grad(true);
      const at::Tensor expected = ValuesByGraph(weights, rounding, format);
      (expected * of_values).sum().backward();
      EXPECT_TRUE(Near(Floats(rounded.Values(three)), Floats(expected.detach()), Relative(1e-5))) << format.Name();
      EXPECT_TRUE(Near(Floats(gradient.offset), Floats(rounding.offset.grad()), Relative(1e-5))) << format.Name();
      EXPECT_TRUE(Near(Floats(gradient.low), Floats(rounding.low.grad()), Relative(1e-4))) << format.Name();
      EXPECT_TRUE(Near(Floats(gradient.high), Floats(rounding.high.grad()), Relative(1e-4))) << format.Name();
    }
}

TEST(LearnedRounding, StepsGoAgainstTheGradientAndStayInTheirRanges) {
  LearnedRounding rounding{at::zeros({2, 32}), at::full({2, 1}, 0.3), at::ones({2, 1})};
  const LearnedRounding gradient{at::full({2, 32}, -5), at::full({2, 1}, 0.01), at::full({2, 1}, -0.01)};
  rounding.Step(gradient, 0.4);
  EXPECT_TRUE(Near(Floats(rounding.offset), std::vector<float>(64, 0.4F), {.max_abs = 1e-7}));
  EXPECT_EQ(rounding.low.max().item<float>(), 0.25);
  EXPECT_EQ(rounding.high.min().item<float>(), 1);
  rounding.Step(gradient, 0.4);
  EXPECT_EQ(rounding.offset.max().item<float>(), 0.5);
}

TEST(LearnedRounding, OffsetsMoveCodesByOneStepAtMost) {
  const at::Tensor weights = RandomWeights(3, 32, 3);
  const PackedFormat format{4, 32, false};
  ThreadPool pool(1);
  LearnedRounding rounding = StartRounding(weights, format, Clip::kMinMax, DType::kF32, pool);
  const RoundedMatrix nearest = Round(weights, rounding, format, DType::kF32, pool);
  rounding.offset.fill_(0.5);
  const RoundedMatrix up = Round(weights, rounding, format, DType::kF32, pool);
  EXPECT_EQ(Scales(up), Scales(nearest));
  int most = 0;
  for (size_t i = 0; i < up.codes.size(); ++i) {
    const int moved = up.codes[i] - nearest.codes[i];
    EXPECT_GE(moved, 0);
    EXPECT_LE(moved, 1);
    most = std::max(most, moved);
  }
  EXPECT_EQ(most, 1);
}

}  // namespace
}  // namespace ecld
