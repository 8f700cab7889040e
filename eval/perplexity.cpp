#include "eval/perplexity.h"

#include <cmath>

#include "eval/scored_windows.h"
#include "runtime/score.h"

namespace ecld {

double PerplexityScore::Perplexity() const { return std::exp(nll_nats.value); }

std::optional<double> PerplexityScore::StandardError() const {
  if (!nll_nats.standard_error) return std::nullopt;
  return Perplexity() * *nll_nats.standard_error;
}

double NegativeLogLikelihood(std::span<const float> logits, int32_t target) {
  return LogSumExp(logits) - double{logits[target]};
}

PerplexityScore Perplexity(Session& model, std::span<const int32_t> ids, const std::vector<Window>& windows) {
  PerTokenSums<1> sums = SumOverWindows<1>({&model}, ids, windows, [](auto logits, int32_t target) {
    return std::array{NegativeLogLikelihood(logits[0], target)};
  });
  return {ClusteredMean(sums[0])};
}

}  // namespace ecld
