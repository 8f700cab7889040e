#pragma once
// Characters as tokenizers need them: core/utf8.h reads and writes them, here are their Unicode properties.

#include <cstdint>

#include "core/utf8.h"

namespace ecld {

// The Unicode White_Space property.
bool IsWhiteSpace(uint32_t code);
// General category N* (decimal, letter-like and other numbers).
bool IsNumeric(uint32_t code);
// What \w means in Unicode regular expressions: letters, marks, decimal numbers, connector punctuation.
bool IsWordCharacter(uint32_t code);

}  // namespace ecld
