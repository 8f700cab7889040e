#pragma once
// Logits of a whole checkpoint by the workbench's blocks.

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "model/block_walker.h"
#include "model/embedding.h"

namespace ecld {

// [windows, tokens, vocab_size]
inline at::Tensor ModelLogits(const Checkpoint& checkpoint, const TokenWindows& windows) {
  at::NoGradGuard no_grad;
  at::Tensor states = Embed(checkpoint, windows.windows);
  for (int64_t layer = 0; layer < checkpoint.config().num_layers; ++layer)
    AdvanceStates(TorchOps(), Block::Load(checkpoint, layer), states);
  return Logits(checkpoint, states);
}

}  // namespace ecld
