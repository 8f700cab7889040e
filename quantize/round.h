#pragma once
// Pass quantize.round: every projection matrix is rounded to the nearest point of its group's grid. Needs no
// calibration text and streams rows, so memory does not grow with the model. The result is a compressed-tensors
// "pack-quantized" checkpoint; Plan says which clients cannot load it.
//
// RoundRows is the maths for a chunk of rows; RoundPass walks the checkpoint with it.

#include <span>
#include <string>
#include <vector>

#include "core/threads.h"
#include "model/pass.h"
#include "quantize/grid.h"
#include "quantize/packed_rows.h"
#include "quantize/scheme.h"

namespace ecld {

struct RoundOptions {
  Scheme scheme;  // bits, group size, symmetry: of all projections, of the embedding, of the head, by name
  Clip clip = Clip::kMinMax;
};

// Packed rows, and the sums that their relative error is made of.
struct RoundedRows : PackedRows {
  double squared_error = 0;
  double squared_weight = 0;
};

// Rounds rows [first, first + rows) of a dense matrix. The result does not depend on the number of threads.
// REQUIRES: first is a multiple of kZeroPointRows.
// THROWS Error naming `where` when a weight is NaN or infinite.
void RoundRows(const WeightView& weight, int64_t first, int64_t rows, const PackedFormat& format, Clip clip,
               DType scale_dtype, ThreadPool& pool, const std::string& where, RoundedRows* out);

// Rounds one matrix chunk by chunk into out; returns its relative error ||W - W'|| / ||W||. REQUIRES: target is the
// same matrix in out's table and has a format. THROWS Error when a weight is NaN or infinite.
double RoundMatrix(const Checkpoint& in, const TensorSpec& source, const TensorSpec& target, Clip clip,
                   CheckpointWriter& out, ThreadPool& pool);

// What every quantizing pass says of a parameter: name, format, bits and bytes as stored.
Json TensorReport(const TensorSpec& target, const ModelConfig& config);

// The same of all of them, each with what rows has under its name.
Json TensorReports(const CheckpointWriter& out, const ReportRows& rows);

// Weights that this machine rounds per second, of rows in memory: for the time of a plan. Takes hundredths of a second.
double MeasureRoundRate(const PackedFormat& format, Clip clip);

class RoundPass : public Pass {
 public:
  explicit RoundPass(RoundOptions options) : options_(std::move(options)) {}

  PassNeeds Needs() const override { return {}; }
  Planned Plan(const PlanInput& input) const override;
  void Run(const Checkpoint& in, CheckpointWriter& out, PassContext& context) const override;

 private:
  RoundOptions options_;
};

}  // namespace ecld
