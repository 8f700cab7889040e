#include "quantize/grid.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/random.h"
#include "tests/testing/near.h"

namespace ecld {
namespace {

std::vector<float> NormalWeights(size_t count, uint64_t seed) {
  Random random(seed);
  std::vector<float> weights(count);
  for (auto& weight : weights) weight = static_cast<float>(0.02 * random.Normal());
  return weights;
}

std::vector<float> Dequantized(const std::vector<uint8_t>& codes, const GroupGrid& grid) {
  std::vector<float> values;
  for (uint8_t code : codes) values.push_back(static_cast<float>(code - grid.zero_point) * grid.scale);
  return values;
}

TEST(Grid, FollowsTheConventionOfCompressedTensors) {
  const GroupGrid symmetric = GridOfRange(-3, 1.5f, {4, 128, true}, DType::kF32);
  EXPECT_FLOAT_EQ(symmetric.scale, 3 / 7.5f);
  EXPECT_EQ(symmetric.zero_point, 8);
  const GroupGrid asymmetric = GridOfRange(-1, 2, {4, 128, false}, DType::kF32);
  EXPECT_FLOAT_EQ(asymmetric.scale, 3 / 15.0f);
  EXPECT_EQ(asymmetric.zero_point, 5);
  // Zero always lies on the grid, so a range on one side of it is widened.
  EXPECT_EQ(GridOfRange(1, 2, {8, 0, false}, DType::kF32).zero_point, 0);
  EXPECT_EQ(GridOfRange(-2, -1, {8, 0, false}, DType::kF32).zero_point, 255);
}

TEST(Grid, ScaleIsOneThatItsStoredTypeHolds) {
  const GroupGrid grid = GridOfRange(-1, 1, {4, 128, true}, DType::kBF16);
  EXPECT_EQ(grid.scale, Bf16ToFloat(FloatToBf16(1 / 7.5f)));
}

TEST(Grid, ZeroGroupStaysExactlyZero) {
  const std::vector<float> weights(40, 0.0f);
  for (bool symmetric : {true, false})
    for (DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
      const PackedFormat format{4, 128, symmetric};
      const GroupGrid grid = FitGrid(weights, format, Clip::kMse, dtype);
      EXPECT_GT(grid.scale, 0);
      std::vector<uint8_t> codes(weights.size());
      EXPECT_EQ(RoundToGrid(weights, grid, 4, codes.data()), 0);
      EXPECT_TRUE(Near(Dequantized(codes, grid), weights, Exact()));
    }
}

TEST(Grid, ErrorIsAtMostHalfAStepWhereNothingIsClipped) {
  for (int bits : {2, 3, 4, 5, 6, 8})
    for (size_t count : {1, 15, 16, 100, 128}) {
      const auto weights = NormalWeights(count, count);
      const GroupGrid grid = FitGrid(weights, {bits, 128, false}, Clip::kMinMax, DType::kF32);
      std::vector<uint8_t> codes(count);
      RoundToGrid(weights, grid, bits, codes.data());
      // The zero point is rounded too, which can push one end of the range out by half a step more.
      EXPECT_TRUE(Near(Dequantized(codes, grid), weights, {.max_abs = 1.001 * grid.scale})) << bits << " " << count;
      EXPECT_LE(*std::max_element(codes.begin(), codes.end()), (1 << bits) - 1);
    }
}

TEST(Grid, WeightsOnTheGridAreKeptAndTiesGoToEven) {
  const GroupGrid grid{0.5f, 8};
  std::vector<uint8_t> codes(4);
  const std::vector<float> on_grid = {-4, -0.5f, 0, 3.5f};
  EXPECT_EQ(RoundToGrid(on_grid, grid, 4, codes.data()), 0);
  EXPECT_EQ(codes, (std::vector<uint8_t>{0, 7, 8, 15}));
  RoundToGrid(std::vector<float>{0.25f, 0.75f, -0.25f, 100}, grid, 4, codes.data());
  EXPECT_EQ(codes, (std::vector<uint8_t>{8, 10, 8, 15}));
}

TEST(Grid, ReturnsTheSquaredErrorItMade) {
  const auto weights = NormalWeights(77, 3);
  const GroupGrid grid = FitGrid(weights, {3, 128, true}, Clip::kMinMax, DType::kF32);
  std::vector<uint8_t> codes(weights.size());
  const double reported = RoundToGrid(weights, grid, 3, codes.data());
  const auto values = Dequantized(codes, grid);
  double sum = 0;
  for (size_t i = 0; i < weights.size(); ++i) sum += std::pow(weights[i] - values[i], 2);
  EXPECT_NEAR(reported / sum, 1, 1e-5);
}

TEST(Grid, MseClippingGainsOnAnOutlierAndNeverLosesItsOwnNorm) {
  auto norm = [](const std::vector<float>& weights, const GroupGrid& grid, int bits) {
    std::vector<uint8_t> codes(weights.size());
    RoundToGrid(weights, grid, bits, codes.data());
    const auto values = Dequantized(codes, grid);
    double sum = 0;
    for (size_t i = 0; i < weights.size(); ++i) sum += std::pow(std::abs(weights[i] - values[i]), 2.4);
    return sum;
  };
  for (int bits : {2, 3, 4, 5, 6, 8})
    for (bool symmetric : {true, false}) {
      const auto weights = NormalWeights(128, static_cast<uint64_t>(bits));
      const PackedFormat format{bits, 128, symmetric};
      const double min_max = norm(weights, FitGrid(weights, format, Clip::kMinMax, DType::kF32), bits);
      const double mse = norm(weights, FitGrid(weights, format, Clip::kMse, DType::kF32), bits);
      EXPECT_LE(mse, min_max * (1 + 1e-5));
      if (bits <= 3) {
        EXPECT_LT(mse, 0.9 * min_max) << bits;
      }
    }
}

}  // namespace
}  // namespace ecld
