#include "model/operations.h"

#include <ATen/ATen.h>

#include <cmath>
#include <numbers>

namespace ecld {
namespace {

// Llama-3.1's rule: long wavelengths are slowed by factor, short ones kept, those between blended.
at::Tensor ScaleLlama3(const at::Tensor& frequency, const RopeScaling& scaling) {
  const auto original = static_cast<double>(scaling.original_max_position);
  const double low_wavelength = original / scaling.low_freq_factor;
  const double high_wavelength = original / scaling.high_freq_factor;
  at::Tensor wavelength = 2 * std::numbers::pi / frequency;
  at::Tensor smooth =
      (original / wavelength - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor);
  at::Tensor slowed = at::where(wavelength > low_wavelength, frequency / scaling.factor, frequency);
  at::Tensor blended = (1 - smooth) * slowed / scaling.factor + smooth * slowed;
  at::Tensor between = at::logical_and(wavelength >= high_wavelength, wavelength <= low_wavelength);
  return at::where(between, blended, slowed);
}

}  // namespace

at::Tensor RmsNorm(const at::Tensor& input, const at::Tensor& weight, double epsilon) {
  return weight * (input * at::rsqrt(input.square().mean(-1, true) + epsilon));
}

RotaryTables MakeRotaryTables(const ModelConfig& config, int64_t tokens) {
  at::Tensor exponent = at::arange(0, config.head_dim, 2, at::kFloat) / config.head_dim;
  at::Tensor frequency = 1.0 / at::pow(config.rope_theta, exponent);
  if (config.rope_scaling.kind == RopeScaling::Kind::kLinear) frequency = frequency / config.rope_scaling.factor;
  if (config.rope_scaling.kind == RopeScaling::Kind::kLlama3) frequency = ScaleLlama3(frequency, config.rope_scaling);
  at::Tensor angle = at::outer(at::arange(tokens, at::kFloat), frequency);
  angle = at::cat({angle, angle}, -1);
  return {angle.cos(), angle.sin()};
}

at::Tensor Rotate(const at::Tensor& states, const RotaryTables& tables) {
  auto halves = states.chunk(2, -1);
  return states * tables.cosine + at::cat({-halves[1], halves[0]}, -1) * tables.sine;
}

at::Tensor CausalAttention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, int64_t window) {
  const int64_t tokens = query.size(2), shared_by = query.size(1) / key.size(1);
  at::Tensor keys = shared_by > 1 ? at::repeat_interleave(key, shared_by, 1) : key;
  at::Tensor values = shared_by > 1 ? at::repeat_interleave(value, shared_by, 1) : value;
  if (window == 0 || window >= tokens)
    return at::scaled_dot_product_attention(query, keys, values, {}, 0.0, /*is_causal=*/true);
  at::Tensor position = at::arange(tokens);
  at::Tensor distance = position.unsqueeze(1) - position.unsqueeze(0);
  at::Tensor visible = at::logical_and(distance >= 0, distance < window);
  return at::scaled_dot_product_attention(query, keys, values, visible);
}

}  // namespace ecld
