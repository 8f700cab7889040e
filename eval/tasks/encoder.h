#pragma once
// Prompts to token ids, as lm-evaluation-harness 0.4.13 does it for causal models of transformers.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/tokenizer/tokenizer.h"

namespace ecld {

struct EncodedText {
  std::vector<int32_t> tokens;
  int64_t first_scored = 1;
  bool truncated = false;  // on the left, to the positions of the model
};

class PromptEncoder {
 public:
  // max_tokens: positions of the model. THROWS Error when the tokenizer names neither a token that begins texts nor one
  // that ends them.
  PromptEncoder(const Tokenizer& tokenizer, int64_t max_tokens);

  // White space at the end of the context goes to the continuation; both are encoded together, and what follows as many
  // tokens as the context alone has is scored. THROWS Error when that is nothing, or more than the model's positions.
  EncodedText Pair(std::string_view context, std::string_view continuation) const;
  // The windows over one text, every token scored once: each window holds all positions, the first one begins with the
  // prefix token, later ones with as many tokens before the scored ones as fit (one, where the window is full).
  std::vector<EncodedText> Rolling(std::string_view text) const;
  // A prompt with room for new tokens after it. THROWS Error when there is none.
  EncodedText Prompt(std::string_view text, int64_t new_tokens) const;

 private:
  // With what the tokenizer adds by itself, unless the text begins with the prefix token already.
  std::vector<int32_t> Encode(std::string_view text) const;

  const Tokenizer& tokenizer_;
  int64_t max_tokens_;
  int32_t prefix_ = 0;
  std::string prefix_text_;
};

}  // namespace ecld
