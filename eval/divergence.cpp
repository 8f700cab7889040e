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

// The logits of these ids; of all where none are given.
std::span<const float> Kept(std::span<const float> logits, std::span<const int32_t> ids, std::vector<float>& storage) {
  if (ids.empty()) return logits;
  storage.clear();
  for (const int32_t id : ids) storage.push_back(logits[static_cast<size_t>(id)]);
  return storage;
}

}  // namespace

double KlDivergence(std::span<const float> reference, std::span<const float> model) {
  return Kl(reference, LogSumExp(reference), model, LogSumExp(model));
}

DivergenceScore Divergence(Session& reference, Session& model, std::span<const int32_t> ids,
                           const std::vector<Window>& windows, std::span<const int32_t> reference_ids) {
  const auto of_token = [&](auto logits, int32_t target) {
    thread_local std::vector<float> kept;
    const std::span<const float> before = Kept(logits[0], reference_ids, kept), after = logits[1];
    const double before_sum = LogSumExp(before), after_sum = LogSumExp(after);
    const double lost = reference_ids.empty() ? 0 : -std::expm1(before_sum - LogSumExp(logits[0]));
    return std::array{Kl(before, before_sum, after, after_sum), First(before) == First(after) ? 1.0 : 0.0,
                      after_sum - double{after[target]}, before_sum - double{before[target]}, std::max(0.0, lost)};
  };
  PerTokenSums<5> sums = SumOverWindows<5>({{&reference, reference_ids}, &model}, ids, windows, of_token);
  return {.kl_nats = ClusteredMean(sums[0]),
          .top1_agreement = ClusteredMean(sums[1]),
          .model = {ClusteredMean(sums[2]), sums[2]},
          .reference = {ClusteredMean(sums[3]), sums[3]},
          .lost_mass = ClusteredMean(sums[4])};
}

}  // namespace ecld
