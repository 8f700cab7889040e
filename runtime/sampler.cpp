#include "runtime/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"

namespace ecld {

Sampler::Sampler(const SamplerOptions& options) : options_(options), random_(options.seed) {
  // Written so that NaN fails too.
  if (!(options.temperature >= 0) || std::isinf(options.temperature))
    Fail("temperature", "is {}, must be 0 (greedy) or a positive number", options.temperature);
  if (options.top_k < 0) Fail("top_k", "is {}, must be 0 (all) or a positive number", options.top_k);
  if (!(options.top_p > 0 && options.top_p <= 1)) Fail("top_p", "is {}, must be above 0 and at most 1", options.top_p);
}

int32_t Sampler::Next(std::span<const float> logits) {
  if (options_.temperature == 0)
    return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());

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

  double draw = random_.Uniform() * held;
  for (size_t i = 0; i + 1 < kept; ++i) {
    draw -= probabilities_[i];
    if (draw < 0) return order_[i];
  }
  return order_[kept - 1];
}

}  // namespace ecld
