#pragma once
// Causal attention of new tokens over one sequence's cache (Vaswani et al. 2017, equation 1), with grouped heads
// (Ainslie et al. 2023): query head h reads key head h / (num_heads / num_kv_heads). Row r is position
// first_position + r and attends to positions j <= its own; with a window also position - j < window, as in Mistral.

#include <cstdint>
#include <string_view>

#include "core/threads.h"

namespace ecld {

struct AttentionArgs {
  const float* query = nullptr;   // [rows, num_heads, head_dim]
  const float* keys = nullptr;    // [first_position + rows, num_kv_heads, head_dim]
  const float* values = nullptr;  // like keys
  int64_t rows = 0;
  int64_t first_position = 0;
  int64_t num_heads = 0;  // a multiple of num_kv_heads
  int64_t num_kv_heads = 0;
  int64_t head_dim = 0;
  int64_t window = 0;    // 0 = none
  float scale = 1;       // of query . key, 1 / sqrt(head_dim) as a rule
  float* out = nullptr;  // [rows, num_heads, head_dim]

  // The first position that row r attends to.
  int64_t FirstKey(int64_t row) const {
    const int64_t first = first_position + row + 1 - window;
    return window > 0 && first > 0 ? first : 0;
  }
};

// Runs the first implementation in the list that supports the problem.
void Attention(const AttentionArgs& args, ThreadPool& pool);

}  // namespace ecld
