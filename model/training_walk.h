#pragma once
// The walk of passes that train one block after the other towards what the teacher's blocks put out. The last windows
// only judge: a block whose held-out error did not fall is left as it was, and the report and a log line say so.

#include <functional>
#include <memory>
#include <string>

#include "model/block_walker.h"

namespace ecld {

// One block in training.
class BlockTrainer {
 public:
  virtual ~BlockTrainer() = default;
  virtual Block Now() const = 0;  // as it would be written
  // states, targets: of the windows to train on, [windows, tokens, hidden_size].
  virtual void Train(const at::Tensor& states, const at::Tensor& targets, uint64_t seed) = 0;
  virtual void Undo() = 0;                // back to what it was before
  virtual void Finish(Block& block) = 0;  // puts what the block is now into the walked one
};

struct TrainingWalk {
  std::string label;   // the pass's name
  std::string done;    // what it is called: a key of the row, "trained"
  std::string undone;  // what becomes of a block that did not get better, for the log: "its weights stay as they were"
  std::string undone_so;  // the same, for the report
  double held_out = 0;    // share of the windows that judge
  const Checkpoint* teacher = nullptr;
  const BlockOps* ops = nullptr;  // as WalkBlocks; training is the trainer's business
  // null: there is nothing to train in this block.
  std::function<std::unique_ptr<BlockTrainer>(const Block&)> trainer;
};

// As WalkBlocks; adds "held_out_windows" to the report. Rows have held_out_before, held_out_after, and whether the
// block is `done`. The seed of a block is the context's plus its layer.
at::Tensor WalkTraining(const Checkpoint& in, CheckpointWriter& out, PassContext& context,
                        const TrainingWalk& training);

}  // namespace ecld
