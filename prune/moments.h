#pragma once
// What the inputs of a linear of a pruned model are on calibration text, and what its outputs lack of the dense
// model's. The dense model's are those from its own states, so that a repair makes good what the blocks before have
// lost too.

#include <ATen/core/Tensor.h>

#include <vector>

#include "model/block_walker.h"
#include "model/statistics.h"

namespace ecld {

// Means over the tokens of some windows, weighted by w: 1, or how much of the model's output depends on a token
// (model/statistics.h). x: the inputs [in]; r: what the states behind the linear lack [out].
struct InputProducts {
  at::Tensor inputs;   // C, of w x x^T, [in, in]; undefined: not wanted
  at::Tensor missing;  // D, of w r x^T, [out, in]; undefined with it
  double lacking = 0;  // of w |r|^2
};

struct PruneMoments {
  at::Tensor energy;       // of w x_j^2, [in], over all windows
  at::Tensor mean;         // of w x_j, [in], over all windows
  InputProducts fit;       // of the windows that weights are refitted to
  InputProducts held_out;  // of the last ones, which judge that
  // G, of g g^T for gradients g at the outputs, as blocks on its diagonal; empty: the identity.
  std::vector<at::Tensor> outputs;
  // Of each input, the squared norm of the weights that make it: one product where two are multiplied, [in].
  at::Tensor makers;
};

// linear: kDown or kOutput, whose inputs makers make; walked.targets are the dense states behind it. Where a norm
// stands behind the linear, r is 0: what it should put out cannot be told from the states. statistics: null: w = 1.
PruneMoments MomentsOf(const WalkedBlock& walked, const TensorSpec& linear, const OutputStatistics* statistics,
                       bool products);

inline constexpr double kHeldOut = 0.125;  // share of the windows that judge

}  // namespace ecld
