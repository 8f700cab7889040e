#pragma once
// Streams a model block by block through a pass that compresses blocks on calibration text. For each block in order:
// load it, let the pass change it, write it, read back what was written, and run the calibration windows through
// that, so that the next block sees the states it will really get. Memory: one block (twice while it is compared) and
// the hidden states of all windows; nothing grows with the number of blocks.
//
// A killed run goes on where it stopped: blocks that the writer already holds are only run, from the written bytes,
// which gives the same states, and so the same bytes in the end.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>

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
// attention then.
void AdvanceStates(const BlockOps& ops, const Block& block, at::Tensor& hidden, const at::Tensor& down_inputs = {});

// Called for every block with the states that enter it. block: as read from the input, the pass changes it in place;
// null when an earlier run has written this block already and there is nothing left to decide.
using CompressBlock = std::function<void(int64_t layer, at::Tensor& hidden, Block* block)>;

struct WalkHelp {
  BlockKernels* kernels = nullptr;  // what blocks are run by; null: Torch, in float32
  // A pass that has run the states through a block that it has finished, just as the walk would, up to the last
  // product may leave what enters that here, and the states after attention in `hidden`: the walk goes on from there,
  // and takes it away. As BlockKernels::Keep gives it; needs kernels.
  at::Tensor* down_inputs = nullptr;
};

// label: the pass's name, for the progress line. Embedding, final norm and head are copied, but for those that out
// packs, which are the caller's. Returns the states that leave the last block, [windows, tokens, hidden_size].
// THROWS Error for NaN weights; std::runtime_error when a written block does not give the states it gave in memory.
at::Tensor WalkBlocks(const Checkpoint& in, CheckpointWriter& out, const TokenWindows& calibration,
                      const std::string& label, const CompressBlock& compress, const WalkHelp& help = {});

// For plans: float32 bytes of one block, of all hidden states, and of the activations of one batch of windows.
struct WalkMemory {
  uint64_t block_B, states_B, batch_B;
};
WalkMemory MemoryOfWalk(const ModelConfig& config, const PlanInput& input);

// Multiply-adds times two of running every calibration token through all blocks once.
double WalkFlops(const ModelConfig& config, const PlanInput& input);

// The same of attention's scores and sums, which are no products with weights.
double AttentionFlops(const ModelConfig& config, const PlanInput& input);

// THROWS Error for what no block pass can do: a quantized input, or no calibration windows.
void RequireDenseAndCalibrated(const PlanInput& input);

}  // namespace ecld
