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
#include "quantize/scheme.h"

namespace ecld {

struct RoundOptions {
  Scheme scheme;  // bits, group size, symmetry: of all projections, of the embedding, of the head, by name
  Clip clip = Clip::kMinMax;
};

// Packed rows as packed_format.h draws them, and the sums that their relative error is made of.
struct RoundedRows {
  std::vector<uint32_t> codes;        // [rows, CodeWords(in_features)]
  std::vector<std::byte> scales;      // [rows, Groups(in_features)] of scale_dtype
  std::vector<uint32_t> zero_points;  // [ZeroWords(rows), Groups(in_features)]; empty when symmetric
  double squared_error = 0;
  double squared_weight = 0;
};

// Rounds rows [first, first + rows) of a dense matrix. The result does not depend on the number of threads.
// REQUIRES: first is a multiple of 32, so that zero points start on a word.
// THROWS Error naming `where` when a weight is NaN or infinite.
void RoundRows(const WeightView& weight, int64_t first, int64_t rows, const PackedFormat& format, Clip clip,
               DType scale_dtype, ThreadPool& pool, const std::string& where, RoundedRows* out);

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
