#include "checkpoint/tokenizer/charsmap.h"

#include <utf8proc.h>

#include <cstring>

#include "core/error.h"
#include "core/utf8.h"

namespace ecld {
namespace {

// Graphemes from here on are taken character by character.
constexpr size_t kLongGrapheme = 6;

int Base64Digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

std::string FromBase64(std::string_view text, const std::string& where) {
  std::string bytes;
  while (text.ends_with('=')) text.remove_suffix(1);
  uint32_t bits = 0;
  int count = 0;
  for (char c : text) {
    const int digit = Base64Digit(c);
    if (digit < 0) Fail(where, "is not base64");
    bits = bits << 6 | static_cast<uint32_t>(digit);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes += static_cast<char>(bits >> count & 0xff);
  }
  return bytes;
}

// The units of a double array (the layout of the Darts-clone library, which sentencepiece uses).
bool HasLeaf(uint32_t unit) { return (unit >> 8 & 1) != 0; }
uint32_t Value(uint32_t unit) { return unit & 0x7fffffffu; }
uint32_t Label(uint32_t unit) { return unit & 0x800000ffu; }
uint32_t Offset(uint32_t unit) { return unit >> 10 << ((unit & 0x200u) >> 6); }

// The end of the grapheme that starts at text[at]; an invalid byte is one of its own.
size_t GraphemeEnd(std::string_view text, size_t at) {
  Utf8Char c = CharAt(text, at);
  size_t end = at + c.size;
  if (c.code == kInvalidCodePoint) return end;
  utf8proc_int32_t state = 0;
  while (end < text.size()) {
    const Utf8Char next = CharAt(text, end);
    if (next.code == kInvalidCodePoint ||
        utf8proc_grapheme_break_stateful(static_cast<utf8proc_int32_t>(c.code),
                                         static_cast<utf8proc_int32_t>(next.code), &state))
      break;
    c = next;
    end += c.size;
  }
  return end;
}

}  // namespace

Charsmap::Charsmap(std::string_view base64, const std::string& where) {
  const std::string bytes = FromBase64(base64, where);
  uint32_t size = 0;
  if (bytes.size() >= 4) std::memcpy(&size, bytes.data(), 4);
  if (size == 0 || size % 4 != 0 || size > bytes.size() - 4)
    Fail(where, "is no table of sentencepiece: a trie of {} bytes in {}", size, bytes.size());
  trie_.resize(size / 4);
  std::memcpy(trie_.data(), bytes.data() + 4, size);
  replacements_ = bytes.substr(4 + size_t{size});
}

bool Charsmap::Find(std::string_view piece, std::string_view* replacement) const {
  size_t node = Offset(trie_[0]);
  for (char c : piece) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte == 0) return false;
    node ^= byte;
    if (node >= trie_.size() || Label(trie_[node]) != byte) return false;
    const uint32_t unit = trie_[node];
    node ^= Offset(unit);
    if (!HasLeaf(unit)) continue;
    if (node >= trie_.size() || Value(trie_[node]) >= replacements_.size()) return false;
    *replacement = std::string_view(replacements_).substr(Value(trie_[node]));
    *replacement = replacement->substr(0, replacement->find('\0'));
    return true;
  }
  return false;
}

std::string Charsmap::Apply(std::string_view text) const {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const size_t end = GraphemeEnd(text, at);
    std::string_view replacement;
    if (end - at < kLongGrapheme && Find(text.substr(at, end - at), &replacement)) {
      out.append(replacement);
      at = end;
      continue;
    }
    while (at < end) {
      const std::string_view bytes = text.substr(at, CharAt(text, at).size);
      out.append(Find(bytes, &replacement) ? replacement : bytes);
      at += bytes.size();
    }
  }
  return out;
}

}  // namespace ecld
