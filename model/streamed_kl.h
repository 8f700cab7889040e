#pragma once
// KL(reference || model) of logits that come in pieces of the vocabulary, for several models at once, so that a head of
// any size is never held whole. For each piece: Reference, then Model for every model.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "checkpoint/checkpoint.h"

namespace ecld {

class StreamedKl {
 public:
  StreamedKl(int64_t tokens, int64_t models);

  // Logits [n, rows] of tokens first .. first + n - 1, for rows of the vocabulary that come once for each token.
  void Reference(int64_t first, const at::Tensor& logits);
  // The same logits by model `index`. REQUIRES: Reference was called for this piece.
  void Model(int64_t index, const at::Tensor& logits);

  // Mean over the tokens, in nats, by model. REQUIRES: the whole vocabulary has come, for all tokens.
  std::vector<double> Means() const;

 private:
  // Running sums over the vocabulary, relative to exp of the largest logit so far. [tokens], double
  struct Sums {
    at::Tensor largest, exponentials;
    at::Tensor differences;  // of a model: the reference's exp(p) * (p - q), relative to the reference's largest
  };
  static Sums Empty(int64_t tokens);

  Sums reference_;
  std::vector<Sums> models_;
  // Of the piece at hand:
  int64_t first_ = 0;
  at::Tensor logits_, weights_, shrink_;
};

// KL(reference || model), mean over the tokens, in nats, of models that end as `in` does: given are the states that
// leave their last blocks, [windows, tokens, hidden_size] each. head: of model `index`, the rows from `first` on of a
// head that is another than in's, of which `rows` are these; empty: none is.
using HeadOfModel = std::function<at::Tensor(size_t index, int64_t first, const at::Tensor& rows)>;
std::vector<double> Divergences(const Checkpoint& in, const at::Tensor& reference,
                                const std::vector<at::Tensor>& models, const HeadOfModel& head = {});

// Windows of calibration text that a measurement looks at when it asks for so many tokens: whole ones, at least one.
int64_t SampleWindows(int64_t sample_tok, int64_t window_tok, int64_t windows);

// For plans: logits of both and what is made of them, and rows of two heads.
uint64_t DivergenceBytes(const ModelConfig& config, int64_t tokens);

}  // namespace ecld
