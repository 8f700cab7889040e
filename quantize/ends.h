#pragma once
// The two ends of a model for the calibrated rounding passes: embedding and head, rounded once the blocks are done.
//
// The head is rounded by GPTQ on the final hidden states. A tied embedding is both ends at once: an error in row v
// costs ||e H e^T|| in the logits and, where token v is read, ||e||^2 in the hidden state. A language model puts token
// v out about as often as it reads it, so both parts weigh a row by the same frequency, and one matrix
// H + input_share * mean(diag H) * I serves all rows. An embedding alone is rounded to nearest: its error is ||e||^2,
// and a frequency only scales a row, which shares no grid with the others. Where the model's gradients are known
// (model/statistics.h), what being read costs is e G e^T, G their moments at the states that enter the first block: in
// the same unit as e H e^T, so that no share is to be chosen.

#include <ATen/core/Tensor.h>

#include "model/block_kernels.h"
#include "model/pass.h"
#include "model/statistics.h"
#include "quantize/grid.h"

namespace ecld {

struct HessianOptions {
  double damping = 0.01;         // added to the Hessian's diagonal, as a part of its mean
  bool activation_order = true;  // the inputs of most energy are rounded first
  double input_share = 1;        // of a tied embedding: weight of being read against being scored
};

HessianOptions ReadHessian(Options& options);

// Mean Gram matrix times the number of tokens of what enters the head: of states that leave the last block, normed.
at::Tensor FinalGram(const Checkpoint& in, const at::Tensor& hidden, BlockKernels& kernels);

// What an error of an embedding's row costs where its token is read, [hidden_size, hidden_size].
at::Tensor EmbeddingCurvature(const OutputStatistics& statistics, const ModelConfig& config);

// Rounds whichever of embedding and head out packs and does not hold yet. hidden: the states that leave the last block,
// [windows, tokens, hidden_size]. statistics: null where they are not known. Adds a row for each to the report, by
// tensor name. THROWS Error for NaN weights.
void QuantizeEnds(const HessianOptions& options, Clip clip, const Checkpoint& in, CheckpointWriter& out,
                  const at::Tensor& hidden, const OutputStatistics* statistics, PassContext& context);

}  // namespace ecld
