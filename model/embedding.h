#pragma once
// The two ends of a model around its blocks: token ids to hidden states, and hidden states to logits. Rows are read
// from the mapped checkpoint as they are needed, so neither end is ever held as floats whole.

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "checkpoint/checkpoint.h"

namespace ecld {

// Rows [first, first + rows) of a matrix as floats, [rows, in_features]: embeddings and heads are taken in pieces.
at::Tensor RowsOf(const WeightView& weight, int64_t first, int64_t rows);

constexpr int64_t kHeadRows = 4096;  // of an embedding or a head, as floats at a time

// Calls body(first, rows) for all rows of a matrix in pieces, rows being [at most kHeadRows, in_features].
template <class Body>
void ForHeadRows(const WeightView& weight, Body body) {
  for (int64_t first = 0; first < weight.out_features; first += kHeadRows)
    body(first, RowsOf(weight, first, std::min(kHeadRows, weight.out_features - first)));
}

// windows: equally long lists of ids -> [windows, tokens, hidden_size]. THROWS Error on an id outside the vocabulary.
at::Tensor Embed(const Checkpoint& checkpoint, const std::vector<std::vector<int32_t>>& windows);

// Final norm and head: [..., hidden_size] -> [..., vocab_size].
at::Tensor Logits(const Checkpoint& checkpoint, const at::Tensor& hidden);

}  // namespace ecld
