#pragma once
// Chooses the next token from logits: greedy, or drawn from the softmax at a temperature after cutting to the top_k
// most likely, to the smallest set of them that holds probability top_p, and to those that have min_p of the largest
// probability (the order of transformers). Before that, and also where greedy, logit_bias is added, then
// repetition_penalty, then frequency_penalty and presence_penalty change the logits (the order of vLLM). The same seed
// and logits give the same tokens on every machine.

#include <cstdint>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "checkpoint/generation_config.h"
#include "core/random.h"

namespace ecld {

struct SamplerOptions {
  double temperature = 0;  // 0 = greedy: the largest logit, the lower id on a tie
  int64_t top_k = 0;       // 0 = all
  double top_p = 1;        // in (0, 1]
  double min_p = 0;        // in [0, 1]
  // Of tokens of the prompt and of the answer: what is above 0 is divided by it, what is below multiplied (Keskar et
  // al. 2019, "CTRL", equation 3, as transformers has it).
  double repetition_penalty = 1;
  // Subtracted from the logit of a token of the answer: for each time that it is there, and once if it is there at all.
  double frequency_penalty = 0, presence_penalty = 0;
  std::vector<std::pair<int32_t, float>> logit_bias;  // id, added to its logit
  uint64_t seed = 0;

  // The values that are there replace those of this.
  void Set(const SamplingValues& values);
};

class Sampler {
 public:
  // THROWS Error naming the option that is out of range.
  explicit Sampler(const SamplerOptions& options);

  // Whether Next is the largest logit as it stands.
  bool greedy() const { return options_.temperature == 0 && !adjusts_; }

  // Tokens of the prompt, for repetition_penalty.
  void See(std::span<const int32_t> prompt);
  // logits [vocab_size], finite. THROWS Error: a bias for an id outside the vocabulary.
  int32_t Next(std::span<const float> logits);

 private:
  std::span<const float> Adjusted(std::span<const float> logits);
  int32_t Draw(std::span<const float> logits);

  SamplerOptions options_;
  bool adjusts_ = false;  // there is a bias or a penalty
  Random random_;
  std::unordered_map<int32_t, int64_t> seen_;  // of prompt and answer, how often in the answer; only where it adjusts
  std::vector<float> adjusted_;                // logits
  std::vector<int32_t> order_;                 // candidates, most likely first where a cut needs the order
  std::vector<double> probabilities_;          // of order_, not normalized
};

}  // namespace ecld
