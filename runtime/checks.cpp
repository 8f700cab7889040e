#include "runtime/checks.h"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "core/error.h"

namespace ecld {

void CheckTokens(const RuntimeModel& model, std::span<const int32_t> tokens, int64_t first) {
  const int64_t vocab_size = model.config().vocab_size;
  for (size_t i = 0; i < tokens.size(); ++i)
    if (tokens[i] < 0 || tokens[i] >= vocab_size)
      Fail(model.checkpoint().directory().string(), "token id {} at position {} is outside the vocabulary of {}",
           tokens[i], first + static_cast<int64_t>(i), vocab_size);
}

void FailNotFinite(const RuntimeModel& model, std::span<const float> logits, std::string_view overflow) {
  const auto bad = std::ranges::find_if_not(logits, [](float logit) { return std::isfinite(logit); });
  assert(bad != logits.end());
  Fail(model.checkpoint().directory().string(),
       "the model computed {} as the logit of token {}: its weights are damaged or overflow {}", *bad,
       (bad - logits.begin()) % model.config().vocab_size, overflow);
}

}  // namespace ecld
