#include "checkpoint/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>

#include "checkpoint/config.h"

namespace ecld {
namespace {

using enum RopeScaling::Kind;

// Real: float, as transformers computes it, or double.
template <class Real>
Real Llama3Scaled(Real frequency, const RopeScaling& scaling) {
  const auto original = static_cast<double>(scaling.original_max_position);
  const auto low_wavelength = static_cast<Real>(original / scaling.low_freq_factor);
  const auto high_wavelength = static_cast<Real>(original / scaling.high_freq_factor);
  const auto factor = static_cast<Real>(scaling.factor);
  const Real wavelength = static_cast<Real>(2 * std::numbers::pi) / frequency;
  if (wavelength < high_wavelength) return frequency;
  if (wavelength > low_wavelength) return frequency / factor;
  const auto low = static_cast<Real>(scaling.low_freq_factor);
  const auto width = static_cast<Real>(scaling.high_freq_factor - scaling.low_freq_factor);
  const Real smooth = (static_cast<Real>(original) / wavelength - low) / width;
  return (1 - smooth) * (frequency / factor) + smooth * frequency;
}

float Power(double theta, int64_t i, int64_t head_dim) {
  const float exponent = static_cast<float>(2 * i) / static_cast<float>(head_dim);
  return static_cast<float>(std::pow(theta, static_cast<double>(exponent)));
}

Rope Unscaled(double theta, int64_t head_dim) {
  Rope rope;
  for (int64_t i = 0; i < head_dim / 2; ++i) rope.frequencies.push_back(1.0f / Power(theta, i, head_dim));
  return rope;
}

// How much of pair i's frequency is divided: 0 where it turns often, 1 where it turns less than beta_slow times.
class YarnRamp {
 public:
  explicit YarnRamp(const ModelConfig& config) {
    const RopeScaling& scaling = config.rope_scaling;
    const auto dims = static_cast<double>(config.head_dim);
    const auto pair_that_turns = [&](double times) {
      const double wavelength = static_cast<double>(scaling.original_max_position) / times;
      return dims * std::log(wavelength / (2 * std::numbers::pi)) / (2 * std::log(config.rope_theta));
    };
    double low = pair_that_turns(scaling.beta_fast), high = pair_that_turns(scaling.beta_slow);
    if (scaling.truncate) {
      low = std::floor(low);
      high = std::ceil(high);
    }
    low = std::max(low, 0.0);
    high = std::min(high, dims - 1);
    low_ = static_cast<float>(low);
    width_ = static_cast<float>((low == high ? high + 0.001 : high) - low);
  }
  float operator()(int64_t i) const { return std::clamp((static_cast<float>(i) - low_) / width_, 0.0f, 1.0f); }

 private:
  float low_, width_;
};

// "NTK-aware": theta grows so that the slowest pair is slowed as if all were divided, and the fastest is not.
double DynamicTheta(const ModelConfig& config, int64_t text_tok) {
  const auto dims = static_cast<double>(config.head_dim);
  const auto factor = static_cast<float>(config.rope_scaling.factor);
  const float longer = factor * static_cast<float>(text_tok) / static_cast<float>(config.max_position);
  const auto stretch = longer - static_cast<float>(config.rope_scaling.factor - 1);
  return static_cast<float>(config.rope_theta) * std::pow(stretch, static_cast<float>(dims / (dims - 2)));
}

}  // namespace

int64_t RopeLength(const ModelConfig& config, int64_t text_tok) {
  const RopeScaling& scaling = config.rope_scaling;
  if (scaling.kind == kDynamic) return std::max(text_tok, config.max_position);
  if (scaling.kind == kLongRope) return text_tok > scaling.original_max_position ? 2 : 1;
  return 0;
}

int64_t LongestText(const ModelConfig& config) {
  const RopeScaling& scaling = config.rope_scaling;
  double longest = static_cast<double>(config.max_position);
  if (scaling.kind == kLinear || scaling.kind == kDynamic) longest *= scaling.factor;
  if (scaling.kind == kYarn || scaling.kind == kLongRope)
    longest = static_cast<double>(scaling.original_max_position) * scaling.factor;
  constexpr double kMost = (int64_t{1} << 31) - 1;
  return std::max(config.max_position, static_cast<int64_t>(std::min(longest, kMost)));
}

int64_t RopeKinds(const ModelConfig& config) { return config.window_rope_theta ? 2 : 1; }

int64_t RopeKind(const ModelConfig& config, int64_t layer) {
  return config.window_rope_theta && config.sliding_window[static_cast<size_t>(layer)] > 0 ? 1 : 0;
}

Rope MakeRope(const ModelConfig& config, int64_t text_tok, int64_t kind) {
  if (kind > 0) return Unscaled(*config.window_rope_theta, config.head_dim);
  const RopeScaling& scaling = config.rope_scaling;
  const bool longer = scaling.kind == kDynamic && text_tok > config.max_position;
  const double theta = longer ? DynamicTheta(config, text_tok) : config.rope_theta;
  const bool beyond = text_tok > scaling.original_max_position;
  const std::vector<double>& divisors = beyond ? scaling.long_factor : scaling.short_factor;
  const auto factor = static_cast<float>(scaling.factor);
  const std::optional<YarnRamp> ramp = scaling.kind == kYarn ? std::optional(YarnRamp(config)) : std::nullopt;
  Rope rope{.attention_factor = static_cast<float>(scaling.attention_factor)};
  for (int64_t i = 0; i < config.head_dim / 2; ++i) {
    const float power = Power(theta, i, config.head_dim);
    float frequency = 1.0f / power;
    if (scaling.kind == kLinear) frequency /= factor;
    if (scaling.kind == kLlama3) frequency = Llama3Scaled(frequency, scaling);
    if (scaling.kind == kLongRope) frequency = 1.0f / (static_cast<float>(divisors[static_cast<size_t>(i)]) * power);
    if (ramp) {
      const float kept = 1 - (*ramp)(i);
      frequency = 1.0f / (factor * power) * (1 - kept) + frequency * kept;
    }
    rope.frequencies.push_back(frequency);
  }
  return rope;
}

double Llama3Divisor(const RopeScaling& scaling, double theta, int64_t head_dim, int64_t i) {
  const double frequency = std::pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(head_dim));
  return frequency / Llama3Scaled(frequency, scaling);
}

double YarnAttention(double factor, double scale) { return 0.1 * scale * std::log(std::max(factor, 1.0)) + 1; }

void AppendRotation(const Rope& rope, int64_t position, std::vector<float>* cosine, std::vector<float>* sine) {
  for (float frequency : rope.frequencies) {
    const float angle = static_cast<float>(position) * frequency;
    cosine->push_back(std::cos(angle) * rope.attention_factor);
    sine->push_back(std::sin(angle) * rope.attention_factor);
  }
}

}  // namespace ecld
