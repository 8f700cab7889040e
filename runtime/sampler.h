#pragma once
// Chooses the next token from logits: greedy, or drawn from the softmax at a temperature after cutting to the top_k
// most likely and then to the smallest set of them that holds probability top_p. The same seed and logits give the
// same tokens on every machine.

#include <cstdint>
#include <span>
#include <vector>

#include "core/random.h"

namespace ecld {

struct SamplerOptions {
  double temperature = 0;  // 0 = greedy: the largest logit, the lower id on a tie
  int64_t top_k = 0;       // 0 = all
  double top_p = 1;        // in (0, 1]
  uint64_t seed = 0;
};

class Sampler {
 public:
  // THROWS Error naming the option that is out of range.
  explicit Sampler(const SamplerOptions& options);

  bool greedy() const { return options_.temperature == 0; }

  // logits [vocab_size], finite.
  int32_t Next(std::span<const float> logits);

 private:
  SamplerOptions options_;
  Random random_;
  std::vector<int32_t> order_;         // candidates, most likely first where a cut needs the order
  std::vector<double> probabilities_;  // of order_, not normalized
};

}  // namespace ecld
