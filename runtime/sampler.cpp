#include "runtime/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"

namespace ecld {
namespace {

constexpr double kMostPenalty = 100, kMostBias = 1e6;

}  // namespace

void SamplerOptions::Set(const SamplingValues& values) {
  temperature = values.temperature.value_or(temperature);
  top_k = values.top_k.value_or(top_k);
  top_p = values.top_p.value_or(top_p);
  min_p = values.min_p.value_or(min_p);
  repetition_penalty = values.repetition_penalty.value_or(repetition_penalty);
  frequency_penalty = values.frequency_penalty.value_or(frequency_penalty);
  presence_penalty = values.presence_penalty.value_or(presence_penalty);
}

Sampler::Sampler(const SamplerOptions& options) : options_(options), random_(options.seed) {
  // Written so that NaN fails too.
  if (!(options.temperature >= 0) || std::isinf(options.temperature))
    Fail("temperature", "is {}, must be 0 (greedy) or a positive number", options.temperature);
  if (options.top_k < 0) Fail("top_k", "is {}, must be 0 (all) or a positive number", options.top_k);
  if (!(options.top_p > 0 && options.top_p <= 1)) Fail("top_p", "is {}, must be above 0 and at most 1", options.top_p);
  // The bounds keep what is changed a finite number.
  const auto check = [](const char* name, double value, double lowest, double highest) {
    if (!(value >= lowest && value <= highest)) Fail(name, "is {}, must be from {} to {}", value, lowest, highest);
  };
  check("min_p", options.min_p, 0, 1);
  check("repetition_penalty", options.repetition_penalty, kLeastRepetitionPenalty, kMostRepetitionPenalty);
  check("frequency_penalty", options.frequency_penalty, -kMostPenalty, kMostPenalty);
  check("presence_penalty", options.presence_penalty, -kMostPenalty, kMostPenalty);
  for (const auto& [id, bias] : options.logit_bias) check("logit_bias", bias, -kMostBias, kMostBias);
  adjusts_ = options.repetition_penalty != 1 || options.frequency_penalty != 0 || options.presence_penalty != 0 ||
             !options.logit_bias.empty();
}

void Sampler::See(std::span<const int32_t> prompt) {
  if (options_.repetition_penalty == 1) return;
  for (int32_t id : prompt) seen_.try_emplace(id, 0);
}

int32_t Sampler::Next(std::span<const float> logits) {
  if (adjusts_) logits = Adjusted(logits);
  const int32_t token = options_.temperature == 0
                            ? static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin())
                            : Draw(logits);
  if (adjusts_) ++seen_[token];
  return token;
}

std::span<const float> Sampler::Adjusted(std::span<const float> logits) {
  adjusted_.assign(logits.begin(), logits.end());
  for (const auto& [id, bias] : options_.logit_bias) {
    if (id < 0 || static_cast<size_t>(id) >= adjusted_.size())
      Fail("logit_bias", "token id {} is outside the vocabulary of {}", id, adjusted_.size());
    adjusted_[static_cast<size_t>(id)] += bias;
  }
  const auto factor = static_cast<float>(options_.repetition_penalty);
  for (const auto& [id, times] : seen_) {
    float& logit = adjusted_[static_cast<size_t>(id)];
    logit = logit > 0 ? logit / factor : logit * factor;
    if (times > 0)
      logit -= static_cast<float>(options_.frequency_penalty * static_cast<double>(times) + options_.presence_penalty);
  }
  return adjusted_;
}

int32_t Sampler::Draw(std::span<const float> logits) {
  order_.resize(logits.size());
  std::iota(order_.begin(), order_.end(), 0);
  // Ties go to the lower id, so that the order, and with it the draw, is the same everywhere.
  const auto more_likely = [&](int32_t a, int32_t b) {
    const float x = logits[static_cast<size_t>(a)], y = logits[static_cast<size_t>(b)];
    return x != y ? x > y : a < b;
  };
  if (options_.top_k > 0 && options_.top_k < static_cast<int64_t>(order_.size())) {
    std::partial_sort(order_.begin(), order_.begin() + options_.top_k, order_.end(), more_likely);
    order_.resize(static_cast<size_t>(options_.top_k));
  } else if (options_.top_p < 1) {
    std::sort(order_.begin(), order_.end(), more_likely);
  }

  const double largest = *std::max_element(logits.begin(), logits.end());
  probabilities_.clear();
  for (int32_t id : order_)
    probabilities_.push_back(std::exp((logits[static_cast<size_t>(id)] - largest) / options_.temperature));
  double total = std::accumulate(probabilities_.begin(), probabilities_.end(), 0.0);

  // The nucleus: the shortest prefix that holds top_p of the probability.
  size_t kept = 0;
  double held = 0;
  while (kept < order_.size() && held < options_.top_p * total) held += probabilities_[kept++];
  if (options_.min_p > 0) {
    // The largest is exp(0), so a share of it is a number.
    size_t likely = 0;
    held = 0;
    for (size_t i = 0; i < kept; ++i) {
      if (probabilities_[i] < options_.min_p) continue;
      order_[likely] = order_[i];
      probabilities_[likely] = probabilities_[i];
      held += probabilities_[likely++];
    }
    kept = likely;
  }

  double draw = random_.Uniform() * held;
  for (size_t i = 0; i + 1 < kept; ++i) {
    draw -= probabilities_[i];
    if (draw < 0) return order_[i];
  }
  return order_[kept - 1];
}

}  // namespace ecld
