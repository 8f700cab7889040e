#pragma once
// Perplexity of a model on a text: exp of the mean negative log-likelihood of each scored token given the tokens
// before it in its window. Log-softmax in double over float32 logits. Comparable between models only on the same
// windows of the same token ids.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "eval/statistics.h"
#include "eval/windows.h"
#include "runtime/session.h"

namespace ecld {

class Tokenizer;

struct PerplexityScore {
  Mean nll_nats;                    // per token
  std::vector<ClusterSum> windows;  // nats, as they stand in the windows

  double Perplexity() const;
  // Delta method: perplexity * se(nll). Absent with one window.
  std::optional<double> StandardError() const;
};

// ids: the whole text; windows: of these ids. THROWS Error: an id outside the vocabulary, a window longer than the
// model's positions, a logit that is NaN or infinite (it is never scored).
PerplexityScore Perplexity(Session& model, std::span<const int32_t> ids, const std::vector<Window>& windows);

// Bits per byte of the text that the scored tokens stand for: what models of different vocabularies are compared by.
// Special tokens stand for none. Absent where there are none. windows, ids: as they were scored.
std::optional<Mean> BitsPerByte(const PerplexityScore& score, const Tokenizer& tokenizer, std::span<const int32_t> ids,
                                const std::vector<Window>& windows);

// -log softmax(logits)[target], in nats. REQUIRES: logits finite, target in range.
double NegativeLogLikelihood(std::span<const float> logits, int32_t target);

}  // namespace ecld
