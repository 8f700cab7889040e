#include "eval/divergence.h"

#include <algorithm>
#include <cmath>

#include "eval/scored_windows.h"
#include "runtime/score.h"

namespace ecld {
namespace {

// KL from the log-sums that the perplexities need anyway.
double Kl(std::span<const float> reference, double reference_sum, std::span<const float> model, double model_sum) {
  double kl = 0;
  for (size_t i = 0; i < reference.size(); ++i) {
    double log_p = double{reference[i]} - reference_sum, log_q = double{model[i]} - model_sum;
    kl += std::exp(log_p) * (log_p - log_q);
  }
  return kl;
}

auto First(std::span<const float> logits) { return std::max_element(logits.begin(), logits.end()) - logits.begin(); }

}  // namespace

double KlDivergence(std::span<const float> reference, std::span<const float> model) {
  return Kl(reference, LogSumExp(reference), model, LogSumExp(model));
}

DivergenceScore Divergence(Session& reference, Session& model, std::span<const int32_t> ids,
                           const std::vector<Window>& windows) {
  PerTokenSums<4> sums = SumOverWindows<4>({&reference, &model}, ids, windows, [](auto logits, int32_t target) {
    double reference_sum = LogSumExp(logits[0]), model_sum = LogSumExp(logits[1]);
    return std::array{Kl(logits[0], reference_sum, logits[1], model_sum),
                      First(logits[0]) == First(logits[1]) ? 1.0 : 0.0, model_sum - double{logits[1][target]},
                      reference_sum - double{logits[0][target]}};
  });
  return {.kl_nats = ClusteredMean(sums[0]),
          .top1_agreement = ClusteredMean(sums[1]),
          .model = {ClusteredMean(sums[2])},
          .reference = {ClusteredMean(sums[3])}};
}

}  // namespace ecld
