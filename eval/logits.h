#pragma once
// Where the scores get their logits from. A model runs one window at a time and hands out rows of logits on request,
// so that [window, vocab_size] never has to be in memory at once. RuntimeLogits is the real one; tests bring theirs.

#include <cstdint>
#include <memory>
#include <span>

#include "checkpoint/checkpoint.h"
#include "core/threads.h"

namespace ecld {

class LogitSource {
 public:
  virtual ~LogitSource() = default;

  virtual int64_t vocab_size() const = 0;

  // Runs the model on a window of its own (nothing before it is remembered). ids below vocab_size.
  virtual void Run(std::span<const int32_t> ids) = 0;

  // Logits after the positions [first, first + count) of the last window, into out [count, vocab_size].
  virtual void Rows(int64_t first, int64_t count, float* out) = 0;
};

// A checkpoint through the kernels that ship. checkpoint and pool must outlive it.
std::unique_ptr<LogitSource> RuntimeLogits(const Checkpoint& checkpoint, ThreadPool& pool);

}  // namespace ecld
