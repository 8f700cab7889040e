#pragma once
// What a teacher predicts: the states behind its final norm, from which its logits are made where they are needed
// (vocabulary_loss.h). Its blocks are read one after the other whenever it is asked, so that it is never in memory
// whole. A teacher may have any shape; its tokens are the student's, or more, of which the student's were kept
// (token_map.h): its distribution is then over the student's alone, renormalised.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "core/threads.h"
#include "model/pass.h"

namespace ecld {

// For plans, with a teacher. THROWS Error: it is quantized.
void RequireDenseTeacher(const PlanInput& input);
// The same. THROWS Error: it has fewer tokens than the student. Whether they are the student's is seen once the
// tokenizers are read.
void RequireRoomForTokens(const PlanInput& input);

class Teacher {
 public:
  // Both must outlive this. THROWS Error, naming ids that differ, for a teacher of other tokens.
  Teacher(const Checkpoint& teacher, const Checkpoint& student, ThreadPool& pool);

  // windows: by the student's ids, equally long -> [windows * tokens, its hidden size]
  at::Tensor States(const std::vector<std::vector<int32_t>>& windows) const;
  // [the student's vocab_size, its hidden size]
  const at::Tensor& head() const { return head_; }

 private:
  const Checkpoint& teacher_;
  ThreadPool& pool_;
  std::vector<int32_t> ids_;  // for each of the student's, the teacher's; empty: the same
  at::Tensor head_, norm_;
};

}  // namespace ecld
