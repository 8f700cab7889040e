#include "runtime/generate.h"

#include <algorithm>
#include <chrono>

#include "core/error.h"

namespace ecld {
namespace {

double MsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

void CheckLengths(const TokenRunner& runner, std::span<const int32_t> prompt, const GenerateOptions& options) {
  if (prompt.empty()) Fail("prompt", "is empty, must hold at least one token");
  if (options.max_tokens < 1) Fail("max_tokens", "is {}, must be at least 1", options.max_tokens);
  // The last token chosen is not run, so it needs no position.
  const int64_t prompt_tok = runner.length() + static_cast<int64_t>(prompt.size());
  if (prompt_tok > runner.MostTokens() - options.max_tokens + 1)
    Fail("prompt", "{} tokens and {} new ones do not fit into the {} positions of this model{}", prompt_tok,
         options.max_tokens, runner.MostTokens(),
         runner.MostTokens() < LongestText(runner.config()) ? " that there is room for" : "");
}

}  // namespace

Generation Generate(Session& session, std::span<const int32_t> prompt, const GenerateOptions& options,
                    const OnToken& on_token) {
  KvCache cache(session.model());
  return Generate(session, cache, prompt, options, on_token);
}

Generation Generate(Session& session, KvCache& cache, std::span<const int32_t> prompt, const GenerateOptions& options,
                    const OnToken& on_token) {
  SessionRunner runner(session, cache);
  return Generate(runner, prompt, options, on_token);
}

Generation Generate(TokenRunner& runner, std::span<const int32_t> prompt, const GenerateOptions& options,
                    const OnToken& on_token) {
  CheckLengths(runner, prompt, options);
  Sampler sampler(options.sampler);
  sampler.See(options.held);
  sampler.See(prompt);
  Generation result;
  auto start = std::chrono::steady_clock::now();
  int32_t token = runner.Next(prompt, sampler);
  result.prefill_ms = MsSince(start);

  start = std::chrono::steady_clock::now();
  while (true) {
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
    token = runner.Next(std::span(&token, 1), sampler);
  }
  result.decode_ms = MsSince(start);
  return result;
}

}  // namespace ecld
