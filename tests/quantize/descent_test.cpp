#include "quantize/descent.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "quantize/gptq_rows.h"
#include "tests/testing/near.h"
#include "tests/testing/small_layer.h"

namespace ecld {
namespace {

ThreadPool pool(1);

at::Tensor Moments(int64_t features, uint64_t seed) {
  at::Tensor moments = CorrelatedHessian(features, seed);
  moments.diagonal().add_(0.01 * moments.diagonal().mean());
  return moments;
}

double Loss(const at::Tensor& weights, const RoundedMatrix& rounded, const at::Tensor& inputs,
            const at::Tensor& outputs) {
  const at::Tensor error = rounded.Values(pool).to(at::kDouble) - weights.to(at::kDouble);
  const at::Tensor of_inputs = error.matmul(inputs.to(at::kDouble));
  return ((outputs.defined() ? outputs.to(at::kDouble).matmul(of_inputs) : of_inputs) * error).sum().item<double>();
}

RoundedMatrix Rounded(const at::Tensor& weights, const at::Tensor& inputs, const PackedFormat& format, DType scales) {
  return QuantizeRows(weights, RootOf(inputs, 1e-6, true, pool), nullptr, format, Clip::kMse, scales, pool);
}

TEST(Descent, LowersTheLossInEveryFormatAndTellsIt) {
  const at::Tensor weights = RandomWeights(33, 150, 31), inputs = Moments(150, 32), both = Moments(33, 33);
  for (const at::Tensor& outputs : {at::Tensor(), both})
    for (int bits : {2, 3, 4, 8})
      for (int64_t group_size : {0, 64})
        for (bool symmetric : {false, true}) {
          RoundedMatrix rounded = Rounded(weights, inputs, {bits, group_size, symmetric}, DType::kBF16);
          const double before = Loss(weights, rounded, inputs, outputs);
          Descend(weights, inputs, outputs, 1, rounded);
          const double once = Loss(weights, rounded, inputs, outputs);
          EXPECT_NEAR(rounded.loss / once, 1, 2e-3);
          Descend(weights, inputs, outputs, 2, rounded);
          EXPECT_LT(once, before) << rounded.format.Name();
          EXPECT_LE(rounded.loss, once * (1 + 1e-3)) << rounded.format.Name();
        }
}

// Where it has come to rest, no code and no scale by itself can be changed for the better.
TEST(Descent, RestsWhereNoSingleStepHelps) {
  const at::Tensor weights = RandomWeights(5, 24, 34), inputs = Moments(24, 35), outputs = Moments(5, 36);
  RoundedMatrix rounded = Rounded(weights, inputs, {2, 8, false}, DType::kF32);
  Descend(weights, inputs, outputs, 100, rounded);
  const double rest = Loss(weights, rounded, inputs, outputs);
  for (uint8_t& code : rounded.codes) {
    const uint8_t kept = code;
    for (int other = 0; other <= rounded.format.MaxCode(); ++other) {
      code = static_cast<uint8_t>(other);
      EXPECT_GE(Loss(weights, rounded, inputs, outputs), rest * (1 - 1e-5));
    }
    code = kept;
  }
  for (GroupGrid& grid : rounded.grids) {
    const float kept = grid.scale;
    for (float factor : {0.99f, 1.01f}) {
      grid.scale = kept * factor;
      EXPECT_GE(Loss(weights, rounded, inputs, outputs), rest * (1 - 1e-5));
    }
    grid.scale = kept;
  }
}

TEST(Descent, ScalesStayOfTheTypeTheyAreStoredIn) {
  const at::Tensor weights = RandomWeights(9, 64, 37), inputs = Moments(64, 38);
  RoundedMatrix rounded = Rounded(weights, inputs, {3, 32, false}, DType::kBF16);
  Descend(weights, inputs, at::Tensor(), 3, rounded);
  for (const GroupGrid& grid : rounded.grids) EXPECT_EQ(grid.scale, StoredScale(grid.scale, DType::kBF16));
}

}  // namespace
}  // namespace ecld
