#pragma once
// Continues a prompt: prefill in chunks, then one token at a time until a stop id, the limit, or the caller's wish.

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "runtime/token_runner.h"

namespace ecld {

struct GenerateOptions {
  int64_t max_tokens = 256;
  std::vector<int64_t> stop_ids;  // ModelConfig::eos_ids as a rule
  SamplerOptions sampler;
  std::span<const int32_t> held;  // the tokens of the runner before the prompt: repetition_penalty counts them too
};

struct Generation {
  enum class End { kStopId, kMaxTokens, kCaller };
  std::vector<int32_t> tokens;  // without the stop id
  End end = End::kMaxTokens;
  double prefill_ms = 0;  // up to the first token
  double decode_ms = 0;   // everything after
};

using OnToken = std::function<bool(int32_t token)>;

// on_token is called with each token as it is chosen (the stop id excluded); returning false ends the generation.
// THROWS Error: empty prompt, bad sampler options, prompt and max_tokens beyond what the model is meant for, and what
// Session throws.
Generation Generate(Session& session, std::span<const int32_t> prompt, const GenerateOptions& options,
                    const OnToken& on_token = {});

// The same, where the prompt follows what cache holds. The prompt and all tokens but the last are in the cache
// afterwards: a conversation goes on without running what was said before.
Generation Generate(Session& session, KvCache& cache, std::span<const int32_t> prompt, const GenerateOptions& options,
                    const OnToken& on_token = {});
Generation Generate(TokenRunner& runner, std::span<const int32_t> prompt, const GenerateOptions& options,
                    const OnToken& on_token = {});

}  // namespace ecld
