#include "quantize/learned_rounding.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <span>

#include "tests/testing/near.h"
#include "tests/testing/small_layer.h"

namespace ecld {
namespace {

TEST(LearnedRounding, StartsAsRoundingToNearest) {
  at::NoGradGuard no_grad;
  const at::Tensor weights = RandomWeights(6, 80, 1);  // a ragged last group
  for (int bits : {2, 4})
    for (bool symmetric : {false, true}) {
      const PackedFormat format{bits, 32, symmetric};
      const RoundedTensors rounded =
          Round(weights, StartRounding(weights, format, Clip::kMinMax, DType::kBF16), format, DType::kBF16);
      for (int64_t row = 0; row < 6; ++row)
        for (int64_t group = 0; group < 3; ++group) {
          const std::span<const float> members(weights.data_ptr<float>() + row * 80 + group * 32, group == 2 ? 16 : 32);
          const GroupGrid grid = FitGrid(members, format, Clip::kMinMax, DType::kBF16);
          EXPECT_EQ(rounded.scales[row][group].item<float>(), grid.scale);
          EXPECT_EQ(rounded.zero_points[row][group].item<float>(), static_cast<float>(grid.zero_point));
          std::vector<uint8_t> codes(members.size());
          RoundToGrid(members, grid, bits, codes.data());
          const at::Tensor found =
              rounded.codes[row].slice(0, group * 32, group * 32 + static_cast<int64_t>(members.size()));
          EXPECT_TRUE(Near(Floats(found), codes, Exact())) << format.Name();
        }
    }
}

TEST(LearnedRounding, MseStartsFromShrunkenRanges) {
  const at::Tensor weights = RandomWeights(4, 64, 2);
  const LearnedRounding start = StartRounding(weights, {2, 32, true}, Clip::kMse, DType::kF32);
  EXPECT_LT(start.low.max().item<float>(), 1);
  EXPECT_GT(start.low.min().item<float>(), 0.2);
}

TEST(LearnedRounding, OffsetsMoveCodesByOneStepAtMostAndGradientsPassThrough) {
  const at::Tensor weights = RandomWeights(3, 32, 3);
  const PackedFormat format{4, 32, false};
  LearnedRounding rounding = StartRounding(weights, format, Clip::kMinMax, DType::kF32);
  const RoundedTensors nearest = [&] {
    at::NoGradGuard no_grad;
    return Round(weights, rounding, format, DType::kF32);
  }();
  rounding.offset.fill_(3);
  rounding.low.fill_(-1);
  rounding.Clamp();
  EXPECT_EQ(rounding.offset.max().item<float>(), 0.5);
  EXPECT_EQ(rounding.low.min().item<float>(), 0.25);
  rounding.low.fill_(1);
  for (at::Tensor& parameter : rounding.Parameters()) parameter.set_requires_grad(true);
  const RoundedTensors up = Round(weights, rounding, format, DType::kF32);
  const at::Tensor moved = up.codes - nearest.codes;
  EXPECT_GT(moved.max().item<float>(), 0.5);
  EXPECT_LT(moved.max().item<float>(), 1.5);
  EXPECT_GT(moved.min().item<float>(), -0.5);
  up.values.sum().backward();
  // Where a code is not at an end of its range, one step of offset is one step of value.
  const at::Tensor inside = at::logical_and(up.codes > 0.5, up.codes < 14.5);
  EXPECT_TRUE(Near(Floats(rounding.offset.grad().masked_select(inside)),
                   Floats(up.scales.expand({3, 32}).masked_select(inside)), {.max_abs = 1e-7}));
  EXPECT_GT(rounding.high.grad().abs().sum().item<float>(), 0);
}

}  // namespace
}  // namespace ecld
