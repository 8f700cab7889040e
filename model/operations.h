#pragma once
// The arithmetic of a block: norm, rotary positions and causal attention, with the options of the supported
// architectures. Float32 throughout, in transformers' order of operations, so that long positions agree too.

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "checkpoint/rope.h"

namespace ecld {

// Root mean square norm over the last axis (Zhang and Sennrich 2019, arXiv 1910.07467, eq. 4). weight: [size].
at::Tensor RmsNorm(const at::Tensor& input, const at::Tensor& weight, double epsilon);

struct RotaryTables {
  at::Tensor cosine, sine;  // [tokens, head_dim]
};

// Of positions 0 .. tokens-1.
RotaryTables MakeRotaryTables(const Rope& rope, int64_t tokens);

// states [windows, heads, tokens, head_dim] turned by their positions; halves of a head are the pairs.
at::Tensor Rotate(const at::Tensor& states, const RotaryTables& tables);

// Causal attention. query [windows, heads, tokens, head_dim]; key, value [windows, kv_heads, tokens, head_dim], each
// shared by heads / kv_heads query heads. window: how many last positions a token sees, itself included; 0 = all.
// Scores are divided by the square root of query_scalar. Factors and result are rounded to `products`.
at::Tensor CausalAttention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, int64_t window,
                           double query_scalar, at::ScalarType products = at::kFloat);

}  // namespace ecld
