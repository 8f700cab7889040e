#include "runtime/token_runner.h"

namespace ecld {

int32_t SessionRunner::Next(std::span<const int32_t> tokens, Sampler& sampler) {
  constexpr size_t kPrefillChunk = 512;  // rows per call: bounds the activations of a long prompt
  logits_.resize(static_cast<size_t>(config().vocab_size));
  const int64_t text_tok = cache_.length() + std::ssize(tokens);
  for (; tokens.size() > kPrefillChunk; tokens = tokens.subspan(kPrefillChunk))
    session_.Forward({{&cache_, tokens.first(kPrefillChunk), text_tok}});
  const std::span<const float> hidden = session_.Forward({{&cache_, tokens}});
  session_.Logits(hidden.last(static_cast<size_t>(config().hidden_size)), logits_);
  return sampler.Next(logits_);
}

}  // namespace ecld
