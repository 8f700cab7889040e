#pragma once
// Streams a model backwards: the gradients of -log p(y | context) at the outputs of every linear, y drawn from the
// model's own distribution (seeded), never the text's next token. Their second moments are the Fisher information of
// the model, which is the second derivative of the KL to it, whose first is zero (Martens 2020, arXiv 1412.1193,
// sections 5 and 8). One block is in memory, and the states and gradients of all windows; the states that enter the
// blocks lie on disk meanwhile, as bfloat16.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>

#include "model/block.h"
#include "model/pass.h"

namespace ecld {

// Of some windows, [windows, tokens, features] each.
struct BlockGradients {
  int64_t first = 0;                     // of these windows
  BlockInputs inputs;                    // of the linears
  std::map<Role, at::Tensor> gradients;  // at their outputs, bias included: sums over all later tokens of the window
};

struct GradientWalk {
  uint64_t seed = 0;
  std::filesystem::path scratch;  // an existing directory; files of the walk come and go there
  // From the last block to the first, each batch after batch; and once all batches of a block have come.
  std::function<void(const Block& block, const BlockGradients& batch)> body;
  std::function<void(const Block& block)> done;
  std::function<bool(int64_t layer)> skips;  // a layer that body does not want; empty: it wants all
};

struct EndGradients {
  at::Tensor entering;       // at the states that enter the first block, [windows, tokens, hidden_size]
  at::Tensor probabilities;  // of every token, the mean over the text: [vocab_size]
};
EndGradients WalkGradients(const Checkpoint& in, const TokenWindows& text, const GradientWalk& walk, ThreadPool& pool);

// For plans: products of a run with weights, the files in scratch at most, and memory beside a walk's (block_walker.h).
struct GradientWalkCost {
  double flops = 0;
  uint64_t scratch_B = 0, memory_B = 0;
};
GradientWalkCost CostOfGradients(const ModelConfig& config, const PlanInput& input);

}  // namespace ecld
