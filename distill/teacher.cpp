#include "distill/teacher.h"

#include <ATen/ATen.h>

#include "checkpoint/tokenizer/token_map.h"
#include "core/error.h"
#include "model/block_walker.h"
#include "model/embedding.h"

namespace ecld {

void RequireDenseTeacher(const PlanInput& input) {
  if (input.teacher->quantization)
    Fail(input.where, "the teacher is quantized too; name the dense model under teacher: in the recipe");
}

void RequireRoomForTokens(const PlanInput& input) {
  if (input.config.vocab_size > input.teacher->vocab_size)
    Fail(input.where, "vocab_size is {} in the student and only {} in the teacher, which must have all of its tokens",
         input.config.vocab_size, input.teacher->vocab_size);
}

Teacher::Teacher(const Checkpoint& teacher, const Checkpoint& student, ThreadPool& pool)
    : teacher_(teacher), pool_(pool) {
  const VocabularyOf its{teacher.directory(), teacher.config().vocab_size};
  const VocabularyOf own{student.directory(), student.config().vocab_size};
  if (its.directory != own.directory) {
    ids_ = IdsIn(its, own);
    if (ids_.empty()) RequireSameTokens(its, own);
  }
  const WeightView head = teacher.Head();
  head_ = RowsOf(head, 0, head.out_features);
  if (!ids_.empty()) head_ = head_.index_select(0, at::tensor(ids_, at::kInt));
  norm_ = at::tensor(teacher.ReadFloats(Find(teacher.table(), Role::kFinalNorm)));
}

at::Tensor Teacher::States(const std::vector<std::vector<int32_t>>& windows) const {
  BlockKernels kernels(teacher_.config(), pool_);
  at::Tensor states = Embed(teacher_, WindowsBy(ids_, windows));
  for (int64_t layer = 0; layer < teacher_.config().num_layers; ++layer)
    AdvanceStates(kernels, Block::Load(teacher_, layer), states);
  return kernels.Norm(states, norm_, teacher_.config().rms_norm_eps).flatten(0, 1);
}

}  // namespace ecld
