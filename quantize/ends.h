#pragma once
// The two ends of a model for the calibrated rounding passes: embedding and head, rounded once the blocks are done.
//
// The head is rounded by GPTQ on the final hidden states. A tied embedding is both ends at once: an error in row v
// costs ||e H e^T|| in the logits and, where token v is read, ||e||^2 in the hidden state. A language model puts token
// v out about as often as it reads it, so both parts weigh a row by the same frequency, and one matrix
// H + input_share * mean(diag H) * I serves all rows. An embedding alone is rounded to nearest: its error is ||e||^2,
// and a frequency only scales a row, which shares no grid with the others.

#include <ATen/core/Tensor.h>

#include "model/pass.h"
#include "quantize/grid.h"

namespace ecld {

struct HessianOptions {
  double damping = 0.01;         // added to the Hessian's diagonal, as a part of its mean
  bool activation_order = true;  // the inputs of most energy are rounded first
  double input_share = 1;        // of a tied embedding: weight of being read against being scored
};

HessianOptions ReadHessian(Options& options);

// Rounds whichever of embedding and head out packs and does not hold yet. hidden: the states that leave the last block,
// [windows, tokens, hidden_size]. Adds a row for each to the report, by tensor name. THROWS Error for NaN weights.
void QuantizeEnds(const HessianOptions& options, Clip clip, const Checkpoint& in, CheckpointWriter& out,
                  const at::Tensor& hidden, PassContext& context);

}  // namespace ecld
