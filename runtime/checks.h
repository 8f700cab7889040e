#pragma once
// What a forward pass refuses, on the processor and on a GPU alike.

#include <cstdint>
#include <span>
#include <string_view>

#include "runtime/model.h"

namespace ecld {

// THROWS Error: a token id outside the vocabulary; first: the position of tokens[0], for the message.
void CheckTokens(const RuntimeModel& model, std::span<const int32_t> tokens, int64_t first);

// THROWS Error naming the first of logits [rows, vocab_size] that is not finite. overflow: what it may have been too
// large for. REQUIRES: one is not finite.
[[noreturn]] void FailNotFinite(const RuntimeModel& model, std::span<const float> logits, std::string_view overflow);

}  // namespace ecld
