#include "runtime/generate.h"

#include <algorithm>
#include <chrono>

#include "core/error.h"

namespace ecld {
namespace {

constexpr size_t kPrefillChunk = 512;  // rows per call: bounds the activations of a long prompt

double MsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

void CheckLengths(const ModelConfig& config, int64_t held, std::span<const int32_t> prompt,
                  const GenerateOptions& options) {
  if (prompt.empty()) Fail("prompt", "is empty, must hold at least one token");
  if (options.max_tokens < 1) Fail("max_tokens", "is {}, must be at least 1", options.max_tokens);
  // The last token chosen is not run, so it needs no position.
  const int64_t prompt_tok = held + static_cast<int64_t>(prompt.size());
  if (prompt_tok > config.max_position - options.max_tokens + 1)
    Fail("prompt", "{} tokens and {} new ones do not fit into the {} positions of this model", prompt_tok,
         options.max_tokens, config.max_position);
}

}  // namespace

Generation Generate(Session& session, std::span<const int32_t> prompt, const GenerateOptions& options,
                    const OnToken& on_token) {
  KvCache cache(session.model());
  return Generate(session, cache, prompt, options, on_token);
}

Generation Generate(Session& session, KvCache& cache, std::span<const int32_t> prompt, const GenerateOptions& options,
                    const OnToken& on_token) {
  const ModelConfig& config = session.model().config();
  CheckLengths(config, cache.length(), prompt, options);
  Sampler sampler(options.sampler);
  std::vector<float> logits(static_cast<size_t>(config.vocab_size));
  const auto run = [&](std::span<const int32_t> tokens) {
    return session.Forward({{&cache, tokens}}).last(static_cast<size_t>(config.hidden_size));
  };

  Generation result;
  auto start = std::chrono::steady_clock::now();
  for (; prompt.size() > kPrefillChunk; prompt = prompt.subspan(kPrefillChunk)) run(prompt.first(kPrefillChunk));
  session.Logits(run(prompt), logits);
  result.prefill_ms = MsSince(start);

  start = std::chrono::steady_clock::now();
  while (true) {
    const int32_t token = sampler.Next(logits);
    if (std::ranges::find(options.stop_ids, token) != options.stop_ids.end()) {
      result.end = Generation::End::kStopId;
      break;
    }
    result.tokens.push_back(token);
    if (on_token && !on_token(token)) {
      result.end = Generation::End::kCaller;
      break;
    }
    if (static_cast<int64_t>(result.tokens.size()) == options.max_tokens) break;
    session.Logits(run(std::span(&token, 1)), logits);
  }
  result.decode_ms = MsSince(start);
  return result;
}

}  // namespace ecld
