#include "quantize/round.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/testing/expect_error.h"
#include "tests/testing/near.h"
#include "tests/testing/run_pass.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

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

WeightView Packed(const RoundedRows& rows, const Matrix& matrix, const PackedFormat& format) {
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
        RoundedRows rows;
        RoundRows(matrix.View(), 0, 37, format, Clip::kMinMax, DType::kF32, pool, "w", &rows);
        const WeightView packed = Packed(rows, matrix, format);
        std::vector<float> values(matrix.values.size());
        for (int64_t row = 0; row < 37; ++row) ReadRow(packed, row, &values[static_cast<size_t>(row) * 200]);
        double error = 0, weight = 0;
        for (size_t i = 0; i < values.size(); ++i) {
          error += std::pow(matrix.values[i] - values[i], 2);
          weight += std::pow(matrix.values[i], 2);
        }
        EXPECT_NEAR(rows.squared_error / error, 1, 1e-4) << format.Name();
        EXPECT_NEAR(rows.squared_weight / weight, 1, 1e-4) << format.Name();
        // Normal weights span less than 9 standard deviations here, and the error is at most one step.
        EXPECT_TRUE(Near(values, matrix.values, {.max_abs = 9.0 / format.MaxCode()})) << format.Name();
      }
}

TEST(RoundRows, DoNotDependOnThreads) {
  const Matrix matrix = RandomMatrix(64, 96, 6);
  const PackedFormat format{3, 32, false};
  RoundedRows one, three;
  ThreadPool single(1), triple(3);
  RoundRows(matrix.View(), 0, 64, format, Clip::kMse, DType::kF32, single, "w", &one);
  RoundRows(matrix.View(), 0, 64, format, Clip::kMse, DType::kF32, triple, "w", &three);
  EXPECT_EQ(one.codes, three.codes);
  EXPECT_EQ(one.scales, three.scales);
  EXPECT_EQ(one.zero_points, three.zero_points);
  EXPECT_EQ(one.squared_error, three.squared_error);
}

TEST(RoundRows, RefuseNanAndInfinity) {
  ThreadPool pool(1);
  RoundedRows rows;
  for (float bad : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    Matrix matrix = RandomMatrix(40, 16, 7);
    matrix.values[33 * 16 + 5] = bad;
    EXPECT_ERROR(RoundRows(matrix.View(), 0, 40, {4, 32, true}, Clip::kMinMax, DType::kF32, pool, "model", &rows),
                 "model: row 33 holds NaN or infinity");
  }
}

// Every matrix of an output as floats, to compare with the input's.
double WorstRelativeError(const Checkpoint& before, const Checkpoint& after) {
  double worst = 0;
  for (size_t i = 0; i < before.table().size(); ++i) {
    const auto expected = before.ReadFloats(before.table()[i]), actual = after.ReadFloats(after.table()[i]);
    double error = 0, weight = 0;
    for (size_t j = 0; j < expected.size(); ++j) {
      error += std::pow(expected[j] - actual[j], 2);
      weight += std::pow(expected[j], 2);
    }
    worst = std::max(worst, std::sqrt(error / weight));
  }
  return worst;
}

TEST(RoundPass, EightBitsStayNearInEveryFamilyTiedAndUntied) {
  for (Family family : kEveryFamily)
    for (bool tied : {false, true}) {
      TempDir directory;
      WriteTinyCheckpoint(directory / "in", {.family = family, .dtype = DType::kBF16, .tied = tied});
      const PackedFormat format{8, 32, true};
      RoundOptions options{{format, format}};
      if (!tied) options.scheme.lm_head = PackedFormat{8, 0, false};
      const Json report = RunPass(RoundPass(options), directory / "in", directory / "out");
      const Checkpoint in = Checkpoint::Open(directory / "in"), out = Checkpoint::Open(directory / "out");
      EXPECT_LT(WorstRelativeError(in, out), 0.01);
      EXPECT_LT(out.WeightBytes(), in.WeightBytes() * 2 / 3);
      ASSERT_EQ(report["tensors"].size(), out.table().size());
      for (const auto& row : report["tensors"]) EXPECT_LT(row["relative_error"].get<double>(), 0.01);
    }
}

TEST(RoundPass, InterruptedRunEndsInTheSameBytes) {
  TempDir directory;
  WriteTinyCheckpoint(directory / "in");
  const RoundPass pass(RoundOptions{{{4, 32, false}, PackedFormat{8, 32, true}}, Clip::kMse});
  RunPass(pass, directory / "in", directory / "whole");

  // A NaN in the last block stops a run after it wrote the first; the same directory then goes on from good weights.
  const Checkpoint in = Checkpoint::Open(directory / "in");
  CheckpointWriter broken(directory / "broken", in.config());
  for (const auto& spec : in.table()) broken.CopyFrom(in, spec);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  broken.Write(Find(in.table(), Role::kDown, 1).name,
               broken.View().Tensor(Find(in.table(), Role::kDown, 1).name).bytes);
  broken.WritePiece(Find(in.table(), Role::kDown, 1).name, 64, std::as_bytes(std::span(&nan, 1)));
  broken.Finish(directory / "in");
  {
    const Checkpoint bad = Checkpoint::Open(directory / "broken");
    CheckpointWriter writer(directory / "resumed", pass.Plan(PlanInputOf(bad, {})).config);
    Json report = Json::object();
    PassContext context;
    context.report = &report;
    EXPECT_ERROR(pass.Run(bad, writer, context), "model.layers.1.mlp.down_proj.weight\": row 0 holds NaN");
    writer.Commit(true);
  }
  const Json report = RunPass(pass, directory / "in", directory / "resumed");
  EXPECT_TRUE(report["tensors"][1]["relative_error"].is_null());
  EXPECT_FALSE(report["tensors"].back()["relative_error"].is_null());
  EXPECT_EQ(CheckpointBytes(directory / "resumed"), CheckpointBytes(directory / "whole"));
}

}  // namespace
}  // namespace ecld
