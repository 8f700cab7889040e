#include "core/utf8.h"

#include <cstring>

namespace ecld {

Utf8Char CharAt(std::string_view text, size_t at) {
  auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<unsigned char>(text[at + i])); };
  auto follows = [&](size_t i) { return (byte(i) & 0xc0u) == 0x80u; };
  uint32_t first = byte(0);
  size_t left = text.size() - at;
  if (first < 0x80) return {first, 1};
  if (first >= 0xc2 && first < 0xe0 && left >= 2 && follows(1)) return {(first & 0x1fu) << 6 | (byte(1) & 0x3fu), 2};
  if (first >= 0xe0 && first < 0xf0 && left >= 3 && follows(1) && follows(2)) {
    uint32_t code = (first & 0xfu) << 12 | (byte(1) & 0x3fu) << 6 | (byte(2) & 0x3fu);
    if (code >= 0x800 && (code < 0xd800 || code > 0xdfff)) return {code, 3};
  }
  if (first >= 0xf0 && first < 0xf5 && left >= 4 && follows(1) && follows(2) && follows(3)) {
    uint32_t code = (first & 7u) << 18 | (byte(1) & 0x3fu) << 12 | (byte(2) & 0x3fu) << 6 | (byte(3) & 0x3fu);
    if (code >= 0x10000 && code <= 0x10ffff) return {code, 4};
  }
  return {kInvalidCodePoint, 1};
}

void AppendUtf8(uint32_t code, std::string& out) {
  const auto append = [&](uint32_t byte) { out += static_cast<char>(byte); };
  const auto append_rest = [&](int shift) {
    for (; shift >= 0; shift -= 6) append(0x80u | (code >> shift & 0x3fu));
  };
  if (code < 0x80) return append(code);
  if (code < 0x800) return append(0xc0u | code >> 6), append_rest(0);
  if (code < 0x10000) return append(0xe0u | code >> 12), append_rest(6);
  append(0xf0u | code >> 18), append_rest(12);
}

size_t ValidRun(std::string_view text, size_t at) {
  size_t i = at;
  while (i < text.size()) {
    uint64_t word;
    if (text.size() - i >= sizeof word) {
      std::memcpy(&word, text.data() + i, sizeof word);
      if ((word & 0x8080808080808080u) == 0) {
        i += sizeof word;
        continue;
      }
    }
    Utf8Char c = CharAt(text, i);
    if (c.code == kInvalidCodePoint) break;
    i += c.size;
  }
  return i - at;
}

size_t InvalidRun(std::string_view text, size_t at) {
  size_t i = at;
  while (i < text.size() && CharAt(text, i).code == kInvalidCodePoint) ++i;
  return i - at;
}

}  // namespace ecld
