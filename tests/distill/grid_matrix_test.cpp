#include "distill/grid_matrix.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/testing/near.h"

namespace ecld {
namespace {

constexpr int64_t kRows = 6, kInputs = 40;

std::vector<float> Floats(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.contiguous();
  return {flat.const_data_ptr<float>(), flat.const_data_ptr<float>() + flat.numel()};
}

class GridMatrixTest : public testing::TestWithParam<PackedFormat> {
 protected:
  // Random codes on random grids.
  RoundedMatrix Rounded(DType scale_dtype) const {
    at::manual_seed(1);
    RoundedMatrix rounded(GetParam(), scale_dtype, kRows, kInputs);
    const at::Tensor codes = at::randint(GetParam().MaxCode() + 1, {kRows * kInputs}, at::kByte);
    std::copy_n(codes.const_data_ptr<uint8_t>(), codes.numel(), rounded.codes.begin());
    for (size_t i = 0; i < rounded.grids.size(); ++i)
      rounded.grids[i] = {
          0.0625f * static_cast<float>(1 + i % 5),
          GetParam().symmetric ? GetParam().MidCode() : static_cast<int>(i) % (GetParam().MaxCode() + 1)};
    return rounded;
  }

  ThreadPool pool_{1};
};

TEST_P(GridMatrixTest, BeginsAtTheCodesWhereverTheDenseWeightsAre) {
  const RoundedMatrix rounded = Rounded(DType::kBF16);
  const at::Tensor values = rounded.Values(pool_), dense = values + 0.1 * at::randn({kRows, kInputs});
  for (const at::Tensor& begun_as : {at::Tensor(), dense}) {
    const GridMatrix matrix(rounded, begun_as, pool_);
    EXPECT_EQ(matrix.Round(pool_).codes, rounded.codes);
    const at::Tensor found = at::empty({kRows, kInputs});
    matrix.Values(found, pool_);
    EXPECT_TRUE(found.equal(values));
    EXPECT_TRUE(found.equal(matrix.Round(pool_).Values(pool_)));
  }
  // A dense weight within its code is where its latent code begins.
  const GridMatrix near(rounded, values + 0.25f * 0.0625f, pool_);
  EXPECT_NEAR(near.latent[0][0].item<float>(), static_cast<float>(rounded.codes[0]) + 0.25f, 1e-5);
}

TEST_P(GridMatrixTest, GradientOfAScaleIsAFiniteDifference) {
  GridMatrix matrix(Rounded(DType::kF32), {}, pool_);
  at::manual_seed(2);
  matrix.latent.add_(0.4 * at::randn({kRows, kInputs}));  // off the middle of the codes, some in other ones
  const at::Tensor direction = at::randn({kRows, kInputs}), values = at::empty({kRows, kInputs});
  const auto loss = [&] {
    matrix.Values(values, pool_);
    return (values.to(at::kDouble) * direction).sum().item<double>();
  };
  const at::Tensor gradient = matrix.TakeGradient(direction.clone(), pool_);
  constexpr float kStep = 1e-2f;
  for (int64_t group = 0; group < gradient.size(1); ++group) {
    at::Tensor stretch = matrix.stretch[2][group];
    stretch.add_(kStep);
    const double up = loss();
    stretch.sub_(2 * kStep);
    const double down = loss();
    stretch.add_(kStep);
    EXPECT_NEAR(gradient[2][group].item<double>(), (up - down) / (2 * kStep), 1e-3);
  }
}

// What stands for the rounding is the code it rounds, held between the ends of the grid.
TEST_P(GridMatrixTest, GradientOfALatentCodeGoesStraightThrough) {
  GridMatrix matrix(Rounded(DType::kF32), {}, pool_);
  matrix.latent[0][0] = -0.6;
  matrix.latent[0][1] = GetParam().MaxCode() + 0.6;
  matrix.latent[0][2] = -0.4;
  const at::Tensor gradient = at::full({kRows, kInputs}, 2.0f);
  matrix.TakeGradient(gradient, pool_);
  const float scale = matrix.Round(pool_).grids[0].scale;
  EXPECT_EQ(gradient[0][0].item<float>(), 0);
  EXPECT_EQ(gradient[0][1].item<float>(), 0);
  EXPECT_EQ(gradient[0][2].item<float>(), 2 * scale);
  EXPECT_EQ(gradient[0][3].item<float>(), 2 * scale);
}

TEST_P(GridMatrixTest, ScalesAreThoseThatCanBeStored) {
  GridMatrix matrix(Rounded(DType::kBF16), {}, pool_);
  matrix.stretch.add_(0.001);
  for (const GroupGrid& grid : matrix.Round(pool_).grids) EXPECT_EQ(grid.scale, Bf16ToFloat(FloatToBf16(grid.scale)));
  const at::Tensor values = at::empty({kRows, kInputs});
  matrix.Values(values, pool_);
  EXPECT_TRUE(Near(Floats(values), Floats(matrix.Round(pool_).Values(pool_)), Exact()));
}

INSTANTIATE_TEST_SUITE_P(Formats, GridMatrixTest,
                         testing::Values(PackedFormat{2, 16, false}, PackedFormat{3, 32, true},
                                         PackedFormat{8, 0, false}));

}  // namespace
}  // namespace ecld
