#include "eval/perplexity.h"

#include <cmath>
#include <numbers>
#include <utility>

#include "checkpoint/tokenizer/tokenizer.h"
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
  return {ClusteredMean(sums[0]), std::move(sums[0])};
}

std::optional<Mean> BitsPerByte(const PerplexityScore& score, const Tokenizer& tokenizer, std::span<const int32_t> ids,
                                const std::vector<Window>& windows) {
  std::vector<ClusterSum> bits = score.windows;
  int64_t bytes = 0;
  for (size_t i = 0; i < bits.size(); ++i) {
    bits[i].sum /= std::numbers::ln2;
    bits[i].count = 0;
    for (const int32_t id : ids.subspan(static_cast<size_t>(windows[i].begin), static_cast<size_t>(windows[i].length))
                                .subspan(static_cast<size_t>(windows[i].first_scored)))
      bits[i].count += std::ssize(tokenizer.Bytes(id, /*skip_special=*/true));
    bytes += bits[i].count;
  }
  return bytes > 0 ? std::optional(ClusteredMean(bits)) : std::nullopt;
}

}  // namespace ecld
