#include "model/operations.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <iterator>

namespace ecld {

at::Tensor RmsNorm(const at::Tensor& input, const at::Tensor& weight, double epsilon) {
  return weight * (input * at::rsqrt(input.square().mean(-1, true) + epsilon));
}

RotaryTables MakeRotaryTables(const Rope& rope, int64_t tokens) {
  at::Tensor frequency = at::empty({std::ssize(rope.frequencies)}, at::kFloat);
  std::ranges::copy(rope.frequencies, frequency.data_ptr<float>());
  at::Tensor angle = at::outer(at::arange(tokens, at::kFloat), frequency);
  angle = at::cat({angle, angle}, -1);
  return {angle.cos() * rope.attention_factor, angle.sin() * rope.attention_factor};
}

at::Tensor Rotate(const at::Tensor& states, const RotaryTables& tables) {
  auto halves = states.chunk(2, -1);
  return states * tables.cosine + at::cat({-halves[1], halves[0]}, -1) * tables.sine;
}

at::Tensor CausalAttention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, int64_t window,
                           double query_scalar, at::ScalarType products) {
  const double scale = 1 / std::sqrt(query_scalar);
  const int64_t tokens = query.size(2), shared_by = query.size(1) / key.size(1);
  // Rounded once they are shared: so what the heads send back to a key is summed in float32.
  const auto shared = [&](const at::Tensor& states) {
    return (shared_by > 1 ? at::repeat_interleave(states, shared_by, 1) : states).to(products);
  };
  at::Tensor queries = query.to(products), keys = shared(key), values = shared(value);
  if (window == 0 || window >= tokens)
    return at::scaled_dot_product_attention(queries, keys, values, {}, 0.0, /*is_causal=*/true, scale);
  at::Tensor position = at::arange(tokens);
  at::Tensor distance = position.unsqueeze(1) - position.unsqueeze(0);
  at::Tensor visible = at::logical_and(distance >= 0, distance < window);
  return at::scaled_dot_product_attention(queries, keys, values, visible, 0.0, false, scale);
}

}  // namespace ecld
