#pragma once
// How far a model's predictions are from those of a reference, token by token on the same windows: mean
// KL(reference || model) in nats, and how often both put the same token first. Also scores both perplexities, since
// the logits are there. Both models run window by window; rows of logits are compared a few at a time.

#include <span>
#include <vector>

#include "eval/perplexity.h"
#include "eval/statistics.h"
#include "eval/windows.h"
#include "runtime/session.h"

namespace ecld {

struct DivergenceScore {
  Mean kl_nats;         // per token; exactly 0 for equal logits
  Mean top1_agreement;  // share of tokens; of equal logits the smaller id is first
  PerplexityScore model;
  PerplexityScore reference;
  Mean lost_mass;  // of the reference's distribution, on tokens that the model has not
};

// reference_ids: where the model's vocabulary was cut from the reference's, the reference's id for each of the model's
// (checkpoint/tokenizer/token_map.h). The reference then reads the same tokens by these, and its distribution is taken
// over them alone, renormalised; what it gave to others is lost_mass. Empty: both have the same ids.
// THROWS Error: vocabularies of different size; else as Perplexity.
DivergenceScore Divergence(Session& reference, Session& model, std::span<const int32_t> ids,
                           const std::vector<Window>& windows, std::span<const int32_t> reference_ids = {});

// sum_i p_i (log p_i - log q_i) with p = softmax(reference), q = softmax(model), all in double. Never below zero but
// for rounding. REQUIRES: both finite and of one size.
double KlDivergence(std::span<const float> reference, std::span<const float> model);

}  // namespace ecld
