#pragma once
// Streams a model block by block through a pass that compresses blocks on calibration text. For each block in order:
// load it, let the pass change it, write it, read back what was written, and run the calibration windows through
// that, so that the next block sees the states it will really get. Memory: one block (twice while it is compared) and
// the hidden states of all windows, those of the teacher too; nothing grows with the number of blocks.
//
// The walk knows what is written, what the report says of it, and what the teacher wants of a block; a pass is a
// function of one block and its states. A killed run goes on where it stopped: blocks that the writer already holds
// are only run, from the written bytes, which gives the same states, and so the same bytes in the end.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "model/block.h"
#include "model/block_kernels.h"
#include "model/pass.h"

namespace ecld {

constexpr int64_t kWalkBatchTok = 2048;  // tokens run through a block at a time

// Calls body(first, count) for consecutive slices of windows of at most kWalkBatchTok tokens, or of one window.
void ForWindowBatches(int64_t windows, int64_t window_tok,
                      const std::function<void(int64_t first, int64_t count)>& body);

// Runs all windows through the block, in place. hidden: [windows, tokens, hidden_size]. down_inputs, [windows, tokens,
// intermediate_size]: what enters the last product, where its kernels have kept it; hidden are the states after
// attention then. after_attention: where those are put, of the shape of hidden; undefined: nowhere.
void AdvanceStates(const BlockOps& ops, const Block& block, at::Tensor& hidden, const at::Tensor& down_inputs = {},
                   const at::Tensor& after_attention = {});

// A block on its way through a pass.
struct WalkedBlock {
  Block& block;               // as read from the input; the pass changes it in place
  at::Tensor& states;         // that enter it, [windows, tokens, hidden_size]
  const at::Tensor& targets;  // of the teacher's block of the same place, see Walk; undefined without a teacher
};

struct BlockResult {
  Json row;  // of the report, but for "layer", which the walk knows; null: none
  // A pass that has run the states through the block as it leaves it, just as the walk would, up to the last product
  // may give what enters that, and leave the states after attention in `states`: the walk goes on from there. As
  // BlockKernels::Keep gives it; needs kernels. Undefined: the walk runs the block.
  at::Tensor down_inputs;
};

struct Walk {
  std::string label;  // the pass's name, for the progress line
  // Called for every block that an earlier run has not written.
  std::function<BlockResult(const WalkedBlock&)> change;
  Json lost_row;                        // of a block that an earlier run has written, its row lost; null: no rows
  const BlockOps* ops = nullptr;        // what blocks are run by; null: Torch, in float32
  const Checkpoint* teacher = nullptr;  // whose blocks give targets from its own states; may be the input
  bool after_attention = false;         // targets are the states after the block's attention, not those that leave it
};

// That leave the last block, [windows, tokens, hidden_size].
struct WalkedStates {
  at::Tensor states;
  at::Tensor teacher;  // undefined without one
};

// Embedding, final norm and head are copied, but for those that out packs, which are the caller's. The rows of blocks
// that have some become "blocks" of the report. THROWS Error for NaN weights; std::runtime_error when a written block
// does not give the states it gave in memory.
WalkedStates WalkBlocks(const Checkpoint& in, CheckpointWriter& out, PassContext& context, const Walk& walk);

// Reads blocks from `first` on and changes nothing: runs by Torch each of the states through them, after body has seen
// the block.
void ReadBlocks(const Checkpoint& in, int64_t first, const std::vector<at::Tensor*>& states,
                const std::function<void(const Block&)>& body = {});

// For plans: float32 bytes of one block, of all hidden states, and of the activations of one batch of windows.
struct WalkMemory {
  uint64_t block_B, states_B, batch_B;
};
WalkMemory MemoryOfWalk(const ModelConfig& config, const PlanInput& input);

// Multiply-adds times two of running every calibration token through all blocks once.
double WalkFlops(const ModelConfig& config, const PlanInput& input);

// The same of attention's scores and sums, which are no products with weights.
double AttentionFlops(const ModelConfig& config, const PlanInput& input);

// THROWS Error for what no block pass can do: no calibration windows, or, of the second, a quantized input.
void RequireCalibrated(const PlanInput& input);
void RequireDenseAndCalibrated(const PlanInput& input);

}  // namespace ecld
