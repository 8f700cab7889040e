#pragma once
// UTF-8, written, and read so that bytes which are no valid character are never replaced: they stand for themselves.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace ecld {

constexpr uint32_t kInvalidCodePoint = 0xffffffffu;

struct Utf8Char {
  uint32_t code;  // kInvalidCodePoint where the byte starts no valid character
  uint32_t size;  // bytes, 1 to 4; 1 for an invalid byte
};

// The character that starts at text[at] (RFC 3629: no overlong forms, no surrogates). REQUIRES at < text.size().
Utf8Char CharAt(std::string_view text, size_t at);

// REQUIRES code is at most 0x10ffff.
void AppendUtf8(uint32_t code, std::string& out);

// Bytes from `at` on that are valid UTF-8 (or, for InvalidRun, that are not).
size_t ValidRun(std::string_view text, size_t at);
size_t InvalidRun(std::string_view text, size_t at);

}  // namespace ecld
