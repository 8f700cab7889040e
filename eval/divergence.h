#pragma once
// How far a model's predictions are from those of a reference, token by token on the same windows: mean
// KL(reference || model) in nats, and how often both put the same token first. Also scores both perplexities, since
// the logits are there. Both models run window by window; rows of logits are compared a few at a time.

#include <span>
#include <string>
#include <vector>

#include "eval/logits.h"
#include "eval/perplexity.h"
#include "eval/statistics.h"
#include "eval/windows.h"

namespace ecld {

struct DivergenceScore {
  Mean kl_nats;         // per token; exactly 0 for equal logits
  Mean top1_agreement;  // share of tokens; of equal logits the smaller id is first
  PerplexityScore model;
  PerplexityScore reference;
};

// THROWS Error: vocabularies of different size; else as Perplexity.
DivergenceScore Divergence(LogitSource& reference, LogitSource& model, std::span<const int32_t> ids,
                           const std::vector<Window>& windows, ThreadPool& pool, const std::string& where);

}  // namespace ecld
