#include "quantize/gptq_rows.h"

#include <gtest/gtest.h>

#include <span>

#include "tests/testing/near.h"
#include "tests/testing/small_layer.h"

namespace ecld {
namespace {

constexpr bool kBothWays[] = {false, true};
ThreadPool pool(1);

// Nearest codes on the grids of FitGrid, row by row.
std::vector<uint8_t> RoundedCodes(const at::Tensor& weights, const PackedFormat& format, Clip clip) {
  std::vector<uint8_t> codes(static_cast<size_t>(weights.numel()));
  const int64_t in = weights.size(1), group_size = format.GroupSize(in);
  for (int64_t row = 0; row < weights.size(0); ++row)
    for (int64_t first = 0; first < in; first += group_size) {
      const std::span<const float> group(weights.data_ptr<float>() + row * in + first,
                                         static_cast<size_t>(std::min(group_size, in - first)));
      RoundToGrid(group, FitGrid(group, format, clip, DType::kF32), format.bits, codes.data() + row * in + first);
    }
  return codes;
}

TEST(GptqRows, WithAnIdentityHessianRoundsToNearestInEveryFormat) {
  const at::Tensor weights = RandomWeights(21, 200, 1);  // more than one block of columns, a ragged last group
  for (int bits : {2, 3, 4, 8})
    for (int64_t group_size : {0, 32, 64})
      for (bool symmetric : kBothWays)
        for (Clip clip : {Clip::kMinMax, Clip::kMse}) {
          const PackedFormat format{bits, group_size, symmetric};
          const RoundedMatrix rounded =
              QuantizeRows(weights, RootOf(at::eye(200), 0.01, true, pool), nullptr, format, clip, DType::kF32, pool);
          EXPECT_EQ(rounded.codes, RoundedCodes(weights, format, clip)) << format.Name();
        }
}

// The algorithm as the paper states it, in double: round a column, spread its error over the columns left by the
// inverse Hessian, and take the column out of that inverse.
at::Tensor ReferenceValues(const at::Tensor& weights, const at::Tensor& hessian, const std::vector<GroupGrid>& grids,
                           const PackedFormat& format, double damping, const at::Tensor& order) {
  const int64_t rows = weights.size(0), in = weights.size(1), groups = format.Groups(in);
  at::Tensor left = weights.to(at::kDouble).clone(), values = at::zeros({rows, in}, at::kDouble);
  at::Tensor damped = hessian.to(at::kDouble).clone();
  damped.diagonal().add_(damping * damped.diagonal().mean());
  at::Tensor inverse = at::linalg_inv(damped);
  for (int64_t step = 0; step < in; ++step) {
    const int64_t column = order[step].item<int64_t>();
    for (int64_t row = 0; row < rows; ++row) {
      const GroupGrid grid = grids[static_cast<size_t>(row * groups + column / format.GroupSize(in))];
      const double weight = left[row][column].item<double>();
      const double code =
          std::clamp<double>(std::nearbyint(weight / grid.scale + grid.zero_point), 0, format.MaxCode());
      values[row][column] = (code - grid.zero_point) * grid.scale;
    }
    const double pivot = inverse[column][column].item<double>();
    const at::Tensor error = (left.select(1, column) - values.select(1, column)) / pivot;
    left -= at::outer(error, inverse[column]);
    inverse = inverse - at::outer(inverse.select(1, column), inverse[column]) / pivot;
  }
  return values;
}

TEST(GptqRows, EqualTheColumnByColumnAlgorithmInDoublePrecision) {
  const at::Tensor weights = RandomWeights(7, 136, 2), hessian = CorrelatedHessian(136, 3);
  for (bool activation_order : kBothWays)
    for (bool symmetric : kBothWays) {
      const PackedFormat format{4, 32, symmetric};
      const HessianRoot root = RootOf(hessian, 0.01, activation_order, pool);
      const RoundedMatrix rounded = QuantizeRows(weights, root, nullptr, format, Clip::kMinMax, DType::kF32, pool);
      const at::Tensor expected = ReferenceValues(weights, hessian, rounded.grids, format, 0.01, root.order);
      EXPECT_TRUE(Near(Floats(rounded.Values(pool)), Floats(expected), {.max_abs = 1e-6}));
    }
}

at::Tensor Damped(const at::Tensor& moments, double damping) {
  at::Tensor damped = moments.to(at::kDouble).clone();
  damped.diagonal().add_(damping * damped.diagonal().mean());
  return damped;
}

// Rounds weight by weight in double, as the algorithm above does column by column: all weights are one vector, whose
// Hessian is the Kronecker product of both sides.
at::Tensor TwoSidedReference(const at::Tensor& weights, const at::Tensor& inputs, const HessianRoot& in_root,
                             const at::Tensor& outputs, const HessianRoot& out_root, const RoundedMatrix& rounded,
                             double damping) {
  const int64_t rows = weights.size(0), in = weights.size(1), groups = rounded.format.Groups(in);
  at::Tensor inverse = at::linalg_inv(at::kron(Damped(outputs, damping), Damped(inputs, damping)));
  at::Tensor left = weights.to(at::kDouble).flatten().clone(), values = at::zeros_like(left);
  for (int64_t column_step = 0; column_step < in; ++column_step)
    for (int64_t row_step = 0; row_step < rows; ++row_step) {
      const int64_t row = out_root.order[row_step].item<int64_t>(), column = in_root.order[column_step].item<int64_t>();
      const int64_t place = row * in + column;
      const GroupGrid grid = rounded.grids[static_cast<size_t>(row * groups + column / rounded.format.GroupSize(in))];
      const double weight = left[place].item<double>();
      const double code =
          std::clamp<double>(std::nearbyint(weight / grid.scale + grid.zero_point), 0, rounded.format.MaxCode());
      values[place] = (code - grid.zero_point) * grid.scale;
      const double pivot = inverse[place][place].item<double>();
      const double error = (weight - values[place].item<double>()) / pivot;
      left -= error * inverse[place];
      inverse -= at::outer(inverse.select(1, place), inverse[place]) / pivot;
    }
  return values.view({rows, in});
}

TEST(GptqRows, TwoSidedEqualTheSameAlgorithmOnTheKroneckerProductInDouble) {
  const at::Tensor weights = RandomWeights(9, 40, 12), inputs = CorrelatedHessian(40, 13);
  const at::Tensor outputs = CorrelatedHessian(9, 14);
  for (bool activation_order : kBothWays)
    for (int bits : {2, 4}) {
      const PackedFormat format{bits, 16, false};
      const HessianRoot in_root = RootOf(inputs, 0.01, activation_order, pool);
      const HessianRoot out_root = RootOf(outputs, 0.01, activation_order, pool);
      const RoundedMatrix rounded = QuantizeRows(weights, in_root, &out_root, format, Clip::kMse, DType::kF32, pool);
      const at::Tensor expected = TwoSidedReference(weights, inputs, in_root, outputs, out_root, rounded, 0.01);
      EXPECT_TRUE(Near(Floats(rounded.Values(pool)), Floats(expected), {.max_abs = 1e-6}));
      const at::Tensor error = rounded.Values(pool).to(at::kDouble) - weights.to(at::kDouble);
      const double loss =
          (Damped(outputs, 0.01).matmul(error).matmul(Damped(inputs, 0.01)) * error).sum().item<double>();
      EXPECT_NEAR(rounded.loss / loss, 1, 1e-4);
    }
}

// Of more rows than a strip has, and more than one block of columns.
TEST(GptqRows, TwoSidedWithAnIdentityAreOneSidedBitForBit) {
  const at::Tensor weights = RandomWeights(150, 200, 15);
  const HessianRoot inputs = RootOf(CorrelatedHessian(200, 16), 0.01, true, pool);
  HessianRoot identity{.order = at::arange(150, at::kLong), .root = at::eye(150)};
  for (int bits : {2, 3, 4, 8}) {
    const PackedFormat format{bits, 64, false};
    const RoundedMatrix one = QuantizeRows(weights, inputs, nullptr, format, Clip::kMse, DType::kBF16, pool);
    const RoundedMatrix two = QuantizeRows(weights, inputs, &identity, format, Clip::kMse, DType::kBF16, pool);
    EXPECT_EQ(one.codes, two.codes);
    EXPECT_NEAR(two.loss / one.loss, 1, 1e-6);
  }
}

TEST(GptqRows, TwoSidedLoseLessOfWhatTheyMinimizeAndDoNotDependOnThreads) {
  const at::Tensor weights = RandomWeights(150, 160, 17), inputs = CorrelatedHessian(160, 18);
  const at::Tensor outputs = CorrelatedHessian(150, 19);
  const HessianRoot in_root = RootOf(inputs, 0.01, true, pool), out_root = RootOf(outputs, 0.01, true, pool);
  for (int bits : {2, 3, 4}) {
    const PackedFormat format{bits, 32, false};
    ThreadPool three(3);
    const RoundedMatrix two = QuantizeRows(weights, in_root, &out_root, format, Clip::kMse, DType::kF32, pool);
    const RoundedMatrix again = QuantizeRows(weights, in_root, &out_root, format, Clip::kMse, DType::kF32, three);
    const RoundedMatrix one = QuantizeRows(weights, in_root, nullptr, format, Clip::kMse, DType::kF32, pool);
    const auto loss = [&](const RoundedMatrix& rounded) {
      const at::Tensor error = rounded.Values(pool) - weights;
      return (outputs.matmul(error).matmul(inputs) * error).sum().item<double>();
    };
    EXPECT_LT(loss(two), 0.8 * loss(one)) << bits;
    EXPECT_EQ(two.codes, again.codes);
    EXPECT_EQ(two.loss, again.loss);
  }
}

TEST(GptqRows, ReportTheLossOfWhatTheyReturn) {
  const at::Tensor weights = RandomWeights(33, 150, 4);
  at::Tensor hessian = CorrelatedHessian(150, 5);
  const HessianRoot root = RootOf(hessian, 0.02, true, pool);
  const PackedFormat format{3, 64, false};
  const RoundedMatrix rounded = QuantizeRows(weights, root, nullptr, format, Clip::kMse, DType::kBF16, pool);
  hessian.diagonal().add_(0.02 * hessian.diagonal().mean());
  const at::Tensor values = rounded.Values(pool), error = values - weights;
  EXPECT_NEAR(rounded.loss / (error.matmul(hessian) * error).sum().item<double>(), 1, 1e-3);
  for (int64_t i = 0; i < weights.numel(); ++i) {
    const GroupGrid& grid = rounded.grids[static_cast<size_t>(i / 150 * 3 + i % 150 / 64)];
    ASSERT_EQ(values.data_ptr<float>()[i],
              static_cast<float>(rounded.codes[static_cast<size_t>(i)] - grid.zero_point) * grid.scale);
  }
}

TEST(GptqRows, LoseLessThanRoundingAtEveryWidth) {
  const at::Tensor weights = RandomWeights(40, 160, 6), hessian = CorrelatedHessian(160, 7);
  const HessianRoot root = RootOf(hessian, 0.01, true, pool), none = RootOf(at::eye(160), 0.01, true, pool);
  for (int bits : {2, 3, 4, 8})
    for (Clip clip : {Clip::kMinMax, Clip::kMse}) {
      auto loss = [&](const HessianRoot& with) {
        const at::Tensor error =
            QuantizeRows(weights, with, nullptr, {bits, 32, true}, clip, DType::kF32, pool).Values(pool) - weights;
        return (error.matmul(hessian) * error).sum().item<double>();
      };
      EXPECT_LT(loss(root), 0.7 * loss(none)) << bits;
    }
}

TEST(GptqRows, SilentInputIsRoundedToNearestAndDisturbsNoOther) {
  at::Tensor weights = RandomWeights(8, 64, 8), hessian = CorrelatedHessian(64, 9);
  hessian.select(0, 5).zero_();
  hessian.select(1, 5).zero_();
  const PackedFormat format{4, 0, true};
  const HessianRoot root = RootOf(hessian, 0.01, true, pool);
  EXPECT_EQ(root.silent_inputs, 1);
  const RoundedMatrix rounded = QuantizeRows(weights, root, nullptr, format, Clip::kMinMax, DType::kF32, pool);
  const std::vector<uint8_t> nearest = RoundedCodes(weights, format, Clip::kMinMax);
  for (size_t row = 0; row < 8; ++row) EXPECT_EQ(rounded.codes[row * 64 + 5], nearest[row * 64 + 5]);
}

TEST(GptqRows, DoNotDependOnEachOtherNorOnThreads) {
  // Strips of rows for several threads, the last a short one, and more than one block of columns.
  constexpr int64_t kRows = 150, kIn = 160;
  const at::Tensor weights = RandomWeights(kRows, kIn, 10);
  const HessianRoot root = RootOf(CorrelatedHessian(kIn, 11), 0.01, true, pool);
  const PackedFormat format{4, 32, false};
  const RoundedMatrix all = QuantizeRows(weights, root, nullptr, format, Clip::kMse, DType::kF32, pool);
  ThreadPool three(3);
  const RoundedMatrix again = QuantizeRows(weights, root, nullptr, format, Clip::kMse, DType::kF32, three);
  EXPECT_EQ(again.codes, all.codes);
  EXPECT_EQ(again.loss, all.loss);
  const RoundedMatrix one =
      QuantizeRows(weights.slice(0, 37, 38).contiguous(), root, nullptr, format, Clip::kMse, DType::kF32, pool);
  EXPECT_EQ(one.codes, std::vector<uint8_t>(all.codes.begin() + 37 * kIn, all.codes.begin() + 38 * kIn));
}

}  // namespace
}  // namespace ecld
