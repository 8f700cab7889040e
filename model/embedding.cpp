#include "model/embedding.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cassert>

#include "core/error.h"
#include "core/threads.h"
#include "model/operations.h"

namespace ecld {

at::Tensor RowsOf(const WeightView& weight, int64_t first, int64_t rows) {
  at::Tensor values = at::empty({rows, weight.in_features}, at::kFloat);
  ThreadPool pool(at::get_num_threads());
  pool.ParallelFor(rows, 16, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      ReadRow(weight, first + row, values.data_ptr<float>() + row * weight.in_features);
  });
  return values;
}

at::Tensor Embed(const Checkpoint& checkpoint, const std::vector<std::vector<int32_t>>& windows) {
  const int64_t hidden_size = checkpoint.config().hidden_size, vocab_size = checkpoint.config().vocab_size;
  const WeightView embedding = checkpoint.Weight(Find(checkpoint.table(), Role::kEmbedding));
  const auto count = static_cast<int64_t>(windows.size());
  const auto tokens = static_cast<int64_t>(windows.empty() ? 0 : windows.front().size());
  at::Tensor hidden = at::empty({count, tokens, hidden_size}, at::kFloat);
  const auto scale = static_cast<float>(checkpoint.config().embedding_scale);
  float* row = hidden.data_ptr<float>();
  for (const auto& window : windows) {
    assert(static_cast<int64_t>(window.size()) == tokens);
    for (int32_t id : window) {
      if (id < 0 || id >= vocab_size)
        Fail(checkpoint.directory().string(), "token id {} is outside the vocabulary of {}", id, vocab_size);
      ReadRow(embedding, id, row);
      row += hidden_size;
    }
  }
  if (scale != 1) hidden.mul_(scale);
  return hidden;
}

at::Tensor Logits(const Checkpoint& checkpoint, const at::Tensor& hidden) {
  const std::vector<float> norm = checkpoint.ReadFloats(Find(checkpoint.table(), Role::kFinalNorm));
  at::Tensor normed = RmsNorm(hidden, at::tensor(norm), checkpoint.config().rms_norm_eps);
  std::vector<at::Tensor> parts;
  ForHeadRows(checkpoint.Head(), [&](int64_t, const at::Tensor& rows) { parts.push_back(at::linear(normed, rows)); });
  return at::cat(parts, -1);
}

}  // namespace ecld
