#pragma once
// Generates texts after many prompts, several at a time: each step runs one token of every text under way, and a prompt
// takes the place of a text that ended. What a text becomes does not depend on its neighbours.

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/tokenizer/tokenizer.h"
#include "eval/tasks/encoder.h"
#include "runtime/prefix_scorer.h"
#include "runtime/sampler.h"

namespace ecld {

struct GenerateTextsOptions {
  std::vector<std::string> until;  // a text ends before the first of these
  std::vector<int64_t> stop_ids;
  int64_t max_tokens = 256;
  SamplerOptions sampler;
  std::vector<uint64_t> seeds;  // one per text, in place of the sampler's; empty: the same for all
  int64_t at_once = 16;         // texts
};

struct GeneratedText {
  std::string text;                // without special tokens, up to a stop string
  std::vector<TokenScore> tokens;  // of all tokens generated, by the model's own distribution
};

// done: called once per prompt, as texts end. THROWS Error as Session does.
void GenerateTexts(Session& session, const Tokenizer& tokenizer, std::span<const EncodedText> prompts,
                   const GenerateTextsOptions& options,
                   const std::function<void(size_t prompt, const GeneratedText& text)>& done);

}  // namespace ecld
