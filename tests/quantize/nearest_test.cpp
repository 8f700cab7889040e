#include "quantize/nearest.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/random.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/near.h"
#include "tests/testing/small_layer.h"

namespace ecld {
namespace {

struct Matrix {
  int64_t rows, columns;
  std::vector<float> values;

  WeightView View() const {
    WeightView view;
    view.out_features = rows;
    view.in_features = columns;
    view.data = reinterpret_cast<const std::byte*>(values.data());
    return view;
  }
};

Matrix RandomMatrix(int64_t rows, int64_t columns, uint64_t seed) {
  Random random(seed);
  Matrix matrix{rows, columns, std::vector<float>(static_cast<size_t>(rows * columns))};
  for (auto& value : matrix.values) value = static_cast<float>(random.Normal());
  return matrix;
}

WeightView Packed(const PackedRows& rows, const Matrix& matrix, const PackedFormat& format) {
  WeightView view = matrix.View();
  view.data = nullptr;
  view.format = format;
  view.codes = reinterpret_cast<const std::byte*>(rows.codes.data());
  view.scales = rows.scales.data();
  view.scale_dtype = DType::kF32;
  if (!format.symmetric) view.zero_points = reinterpret_cast<const std::byte*>(rows.zero_points.data());
  return view;
}

TEST(RoundRows, PackedValuesAreTheNearestOnTheGridInEveryLayout) {
  ThreadPool pool(2);
  for (int bits : {2, 3, 4, 5, 6, 8})
    for (int64_t group_size : {0, 8, 32, 64, 128})
      for (bool symmetric : {true, false}) {
        const PackedFormat format{bits, group_size, symmetric};
        const Matrix matrix = RandomMatrix(37, 200, 5);  // ragged groups, and rows that fill no zero point word
        const NearestRows rows = RoundRows(matrix.View(), 0, 37, format, Clip::kMinMax, DType::kF32, pool, "w");
        const PackedRows bytes = Pack(rows, pool);
        const WeightView packed = Packed(bytes, matrix, format);
        std::vector<float> values(matrix.values.size());
        for (int64_t row = 0; row < 37; ++row) ReadRow(packed, row, &values[static_cast<size_t>(row) * 200]);
        double error = 0, weight = 0;
        for (size_t i = 0; i < values.size(); ++i) {
          error += std::pow(matrix.values[i] - values[i], 2);
          weight += std::pow(matrix.values[i], 2);
        }
        EXPECT_NEAR(rows.loss / error, 1, 1e-4) << format.Name();
        EXPECT_NEAR(rows.squared_weight / weight, 1, 1e-4) << format.Name();
        EXPECT_TRUE(Near(Floats(rows.Values(pool)), values, Exact())) << format.Name();
        // Normal weights span less than 9 standard deviations here, and the error is at most one step.
        EXPECT_TRUE(Near(values, matrix.values, {.max_abs = 9.0 / format.MaxCode()})) << format.Name();
      }
}

TEST(RoundRows, DoNotDependOnThreads) {
  const Matrix matrix = RandomMatrix(64, 96, 6);
  const PackedFormat format{3, 32, false};
  ThreadPool single(1), triple(3);
  const NearestRows one = RoundRows(matrix.View(), 0, 64, format, Clip::kMse, DType::kF32, single, "w");
  const NearestRows three = RoundRows(matrix.View(), 0, 64, format, Clip::kMse, DType::kF32, triple, "w");
  EXPECT_EQ(one.codes, three.codes);
  EXPECT_EQ(one.loss, three.loss);
  const PackedRows packed_one = Pack(one, single), packed_three = Pack(three, triple);
  EXPECT_EQ(packed_one.codes, packed_three.codes);
  EXPECT_EQ(packed_one.scales, packed_three.scales);
  EXPECT_EQ(packed_one.zero_points, packed_three.zero_points);
}

TEST(RoundRows, RefuseNanAndInfinity) {
  ThreadPool pool(1);
  for (float bad : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    Matrix matrix = RandomMatrix(40, 16, 7);
    matrix.values[33 * 16 + 5] = bad;
    EXPECT_ERROR(RoundRows(matrix.View(), 0, 40, {4, 32, true}, Clip::kMinMax, DType::kF32, pool, "model"),
                 "model: row 33 holds NaN or infinity");
  }
}

}  // namespace
}  // namespace ecld
