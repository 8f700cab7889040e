#pragma once
// How far a student's predictions are from its teacher's over the whole vocabulary, and the gradients of that. Logits
// are made for some tokens at a time, of both models, turned into gradients where they stand, and are gone: they are
// never held whole, and autograd never sees them. Products are those of block_kernels.h, summed in float32, so that two
// models of the same weights differ by exactly nothing.

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "model/block_kernels.h"

namespace ecld {

class Options;

// Of p, the teacher's distribution, and q, the student's, both at a temperature.
enum class Distance {
  kForward,        // KL(p || q): the student puts weight wherever the teacher does
  kReverse,        // KL(q || p): the student puts none where the teacher does not
  kJensenShannon,  // KL(p || m) / 2 + KL(q || m) / 2 with m = (p + q) / 2; at most log 2
};

struct LossOptions {
  Distance divergence = Distance::kForward;
  // Divides logits. The divergence is multiplied by its square, so that gradients keep their size (Hinton et al. 2015,
  // arXiv 1503.02531, section 2).
  double temperature = 1;
  double cross_entropy = 0;  // weight of -log q(next token of the text), at temperature 1
};

LossOptions ReadLoss(Options& options);

// The loss of some tokens, summed, in nats. Logits are [tokens, vocab_size], float32 or float64; next [tokens] are ids,
// -1 where there is none. Afterwards `student` holds the gradient of the sum times `scale`, and what is in `teacher` is
// of no use.
double LossOfLogits(const LossOptions& options, const at::Tensor& student, const at::Tensor& teacher,
                    const at::Tensor& next, double scale);

// The token behind each of ids [windows, tokens], -1 behind the last of a window: [windows * tokens].
at::Tensor NextTokens(const at::Tensor& ids);

// What a model predicts from, of one vocabulary.
struct Predicting {
  at::Tensor states;  // [tokens, its hidden size], behind the final norm
  at::Tensor head;    // [vocab_size, its hidden size]
};

struct PredictingGradient {
  at::Tensor states, head;               // shapes of the student's; added to
  double scale = 1;                      // of the loss
  at::ScalarType products = at::kFloat;  // the type of the factors of its products
};

// Logits of a model that are held at a time: enough for products at full speed.
inline constexpr int64_t kLogitsAtOnce = int64_t{1} << 24;

// The sum over tokens. gradient: null for the loss alone.
double VocabularyLoss(const LossOptions& options, BlockKernels& kernels, const Predicting& student,
                      const Predicting& teacher, const at::Tensor& next, const PredictingGradient* gradient,
                      int64_t logits_at_once = kLogitsAtOnce);

// For plans: memory of VocabularyLoss.
uint64_t VocabularyLossBytes(int64_t vocab_size);

}  // namespace ecld
