#pragma once
// Characters as tokenizers need them: core/utf8.h reads and writes them, here are their Unicode properties.

#include <cstdint>
#include <string_view>

#include "core/utf8.h"

namespace ecld {

// The character that ends at text[end]; kInvalidCodePoint at the start of the text or after an invalid byte.
Utf8Char CharBefore(std::string_view text, size_t end);

// The Unicode White_Space property.
bool IsWhiteSpace(uint32_t code);
// General category N* (decimal, letter-like and other numbers).
bool IsNumeric(uint32_t code);
// What \w means in Unicode regular expressions: letters, marks, decimal numbers, connector punctuation.
bool IsWordCharacter(uint32_t code);
// General category M*.
bool IsMark(uint32_t code);
// General category P*, or ASCII punctuation, which has some symbols too ("$").
bool IsPunctuation(uint32_t code);

}  // namespace ecld
