#pragma once
// Rounding to the nearest point of each group's grid, which needs no calibration: some rows, or a matrix chunk by
// chunk, so that memory does not grow with it.

#include <string>

#include "checkpoint/checkpoint_writer.h"
#include "model/rounded_matrix.h"
#include "quantize/grid.h"

namespace ecld {

// loss: the sum of squared errors.
struct NearestRows : RoundedMatrix {
  using RoundedMatrix::RoundedMatrix;
  double squared_weight = 0;  // the sum of the squared weights
};

// Rounds rows [first, first + rows) of a dense matrix. The result does not depend on the number of threads.
// THROWS Error naming `where` when a weight is NaN or infinite.
NearestRows RoundRows(const WeightView& weight, int64_t first, int64_t rows, const PackedFormat& format, Clip clip,
                      DType scale_dtype, ThreadPool& pool, const std::string& where);

// A contiguous float tensor [out_features, in_features], whose data the view shares.
WeightView ViewOf(const at::Tensor& weights);

// Rounds one matrix into out; returns its relative error ||W - W'|| / ||W||. REQUIRES: target is the same matrix in
// out's table and has a format. THROWS Error when a weight is NaN or infinite.
double RoundMatrix(const Checkpoint& in, const TensorSpec& source, const TensorSpec& target, Clip clip,
                   CheckpointWriter& out, ThreadPool& pool);

// Weights that this machine rounds per second, of rows in memory: for the time of a plan. Takes hundredths of a second.
double MeasureRoundRate(const PackedFormat& format, Clip clip, ThreadPool& pool);

}  // namespace ecld
