#pragma once
// Perplexity of a model on a text: exp of the mean negative log-likelihood of each scored token given the tokens
// before it in its window. Log-softmax in double over float32 logits. Comparable between models only on the same
// windows of the same token ids.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "eval/logits.h"
#include "eval/statistics.h"
#include "eval/windows.h"

namespace ecld {

struct PerplexityScore {
  Mean nll_nats;  // per token

  double Perplexity() const;
  // Delta method: perplexity * se(nll).
  std::optional<double> StandardError() const;
};

// ids: the whole text. where: names the model in errors.
// THROWS Error: an id outside the model's vocabulary; a logit that is NaN or infinite (never scored).
PerplexityScore Perplexity(LogitSource& model, std::span<const int32_t> ids, const std::vector<Window>& windows,
                           ThreadPool& pool, const std::string& where);

}  // namespace ecld
