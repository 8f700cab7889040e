#include "runtime/rope_frequencies.h"

#include <cmath>
#include <numbers>

namespace ecld {
namespace {

// Clients compute these in float32, where the rounding of an early step shows at late positions. So do we.
float Llama3Scaled(float frequency, const RopeScaling& scaling) {
  const auto original = static_cast<double>(scaling.original_max_position);
  const auto low_wavelength = static_cast<float>(original / scaling.low_freq_factor);
  const auto high_wavelength = static_cast<float>(original / scaling.high_freq_factor);
  const auto factor = static_cast<float>(scaling.factor);
  const float wavelength = static_cast<float>(2 * std::numbers::pi) / frequency;
  if (wavelength < high_wavelength) return frequency;
  if (wavelength > low_wavelength) return frequency / factor;
  const auto low = static_cast<float>(scaling.low_freq_factor);
  const auto width = static_cast<float>(scaling.high_freq_factor - scaling.low_freq_factor);
  const float smooth = (static_cast<float>(original) / wavelength - low) / width;
  return (1 - smooth) * (frequency / factor) + smooth * frequency;
}

}  // namespace

std::vector<float> RopeFrequencies(const ModelConfig& config) {
  std::vector<float> frequencies;
  for (int64_t i = 0; i < config.head_dim / 2; ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(config.head_dim);
    const auto power = static_cast<float>(std::pow(config.rope_theta, static_cast<double>(exponent)));
    float frequency = 1.0f / power;
    if (config.rope_scaling.kind == RopeScaling::Kind::kLinear)
      frequency /= static_cast<float>(config.rope_scaling.factor);
    if (config.rope_scaling.kind == RopeScaling::Kind::kLlama3)
      frequency = Llama3Scaled(frequency, config.rope_scaling);
    frequencies.push_back(frequency);
  }
  return frequencies;
}

void AppendRotation(const std::vector<float>& frequencies, int64_t position, std::vector<float>* cosine,
                    std::vector<float>* sine) {
  for (float frequency : frequencies) {
    const float angle = static_cast<float>(position) * frequency;
    cosine->push_back(std::cos(angle));
    sine->push_back(std::sin(angle));
  }
}

}  // namespace ecld
