#include "core/text_encoding.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "core/error.h"
#include "core/file_signature.h"
#include "core/utf8.h"

namespace ecld {
namespace {

using namespace std::string_view_literals;

uint32_t Byte(std::string_view bytes, size_t at) { return static_cast<unsigned char>(bytes[at]); }

// The code unit of `size` bytes at `at`.
uint32_t Unit(std::string_view bytes, size_t at, size_t size, bool big_endian) {
  uint32_t unit = 0;
  for (size_t i = 0; i < size; ++i) unit |= Byte(bytes, at + i) << 8 * (big_endian ? size - 1 - i : i);
  return unit;
}

[[noreturn]] void RefuseNul(std::string_view where, size_t at) {
  Fail(where, "at byte {} stands a NUL, which no text has", at);
}

// UTF-16 or UTF-32 behind a mark of one unit.
std::string DecodeUnits(std::string_view bytes, size_t size, bool big_endian, std::string_view where) {
  std::string text;
  text.reserve(bytes.size());
  const int bits = static_cast<int>(8 * size);
  if (bytes.size() % size != 0)
    Fail(where, "is UTF-{} by its mark, but its {} bytes end within a character", bits, bytes.size());
  for (size_t at = size; at < bytes.size(); at += size) {
    uint32_t code = Unit(bytes, at, size, big_endian);
    const size_t begin = at;
    if (size == 2 && code >= 0xd800 && code < 0xdc00 && at + 2 * size <= bytes.size()) {
      const uint32_t second = Unit(bytes, at + size, size, big_endian);
      if (second >= 0xdc00 && second < 0xe000) {
        code = 0x10000 + ((code - 0xd800) << 10) + (second - 0xdc00);
        at += size;
      }
    }
    if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
      Fail(where, "is UTF-{} by its mark, but at byte {} stands 0x{:x}, which is {}", bits, begin, code,
           code > 0x10ffff ? "no character" : "half a character (a surrogate without its other half)");
    if (code == 0) RefuseNul(where, begin);
    AppendUtf8(code, text);
  }
  return text;
}

struct Statistics {
  size_t size = 0, nul_even = 0, nul_odd = 0;
  size_t control = 0;        // that no text has
  size_t high = 0;           // 0x80 and above
  size_t characters = 0;     // of several bytes in UTF-8
  size_t invalid = 0;        // bytes that are in no character of UTF-8
  bool whole_units = false;  // could be UTF-32: all code points are in range
  bool little_units = false;
};

bool IsControl(uint32_t byte) { return (byte < 0x20 && (byte < '\a' || byte > '\r') && byte != 0x1b) || byte == 0x7f; }

Statistics Count(std::string_view bytes) {
  Statistics counts{.size = bytes.size()};
  for (size_t at = 0; at < bytes.size(); ++at) {
    if (bytes[at] == '\0') ++(at % 2 == 0 ? counts.nul_even : counts.nul_odd);
    if (IsControl(Byte(bytes, at))) ++counts.control;
    if (Byte(bytes, at) >= 0x80) ++counts.high;
  }
  for (size_t at = 0; at < bytes.size();) {
    const Utf8Char character = CharAt(bytes, at);
    if (character.code == kInvalidCodePoint) ++counts.invalid;
    if (character.size > 1) ++counts.characters;
    at += character.size;
  }
  for (const bool big_endian : {false, true}) {
    size_t at = 0;
    while (at + 4 <= bytes.size() && Unit(bytes, at, 4, big_endian) - 1 < 0x10ffff) at += 4;
    if (at < bytes.size() || bytes.size() < 8) continue;
    counts.whole_units = true;
    counts.little_units = !big_endian;
  }
  return counts;
}

// A guess at bytes that are no UTF-8 and begin with no mark.
std::string Guess(std::string_view bytes, size_t bad, std::string_view where) {
  const auto converted = [&](std::string_view name, std::string_view encoding) {
    return fmt::format("{}; convert it: iconv -f {} -t UTF-8 {} > text.txt", name, encoding, where);
  };
  const Statistics counts = Count(bytes);
  if (counts.whole_units)
    return counts.little_units ? converted("UTF-32 without a mark", "UTF-32LE")
                               : converted("UTF-32 without a mark, big end first", "UTF-32BE");
  const size_t nul = counts.nul_even + counts.nul_odd, rare = nul / 8;
  if (nul > 0 && nul * 128 > counts.size && counts.size % 2 == 0) {
    if (counts.nul_even <= rare) return converted("UTF-16 without a mark", "UTF-16LE");
    if (counts.nul_odd <= rare) return converted("UTF-16 without a mark, big end first", "UTF-16BE");
  }
  if (nul * 128 <= counts.size && nul > 0 && counts.invalid == 0 && counts.control - nul <= counts.size / 64)
    return fmt::format("text with {} NUL bytes in it; take them out: tr -d '\\000' < {} > text.txt", nul, where);
  if (counts.control > counts.size / 64) return "no text at all";
  if (counts.characters > 0 && (Byte(bytes, bad) & 0xc0u) == 0xc0u && bad + counts.invalid == bytes.size())
    return "UTF-8 that was cut within its last character";
  if (counts.characters > 4 * counts.invalid)
    return fmt::format("UTF-8 with {} damaged bytes; drop them: iconv -c -f UTF-8 -t UTF-8 {} > text.txt",
                       counts.invalid, where);
  // A European text in one of these has few letters beyond ASCII.
  if (counts.high < counts.size / 4) return converted("Windows-1252 or Latin-1", "WINDOWS-1252");
  return converted("text in an encoding of its language (GB18030, Shift_JIS, EUC-KR, Windows-1251, ...)", "ENCODING");
}

}  // namespace

std::string DecodeText(std::string bytes, std::string_view where) {
  const std::string_view view = bytes;
  if (view.starts_with("\xff\xfe\0\0"sv)) return DecodeUnits(view, 4, false, where);
  if (view.starts_with("\0\0\xfe\xff"sv)) return DecodeUnits(view, 4, true, where);
  if (view.starts_with("\xff\xfe"sv)) return DecodeUnits(view, 2, false, where);
  if (view.starts_with("\xfe\xff"sv)) return DecodeUnits(view, 2, true, where);
  const size_t valid = ValidRun(view, 0), bad = std::min(valid, view.find('\0'));
  // What is not text shows it soon; far behind, it is text that is damaged.
  FileSignature known = bad < std::min<size_t>(view.size(), 512) ? SignatureOf(view) : FileSignature();
  if (known.name.empty()) known = SignatureOfCharacters(view);
  if (!known.name.empty())
    Fail(where, "is no plain text; it seems to be {}{}{}", known.name, known.advice.empty() ? "" : "; ", known.advice);
  if (bad < view.size())
    Fail(where, "byte {} is 0x{:02x}, which is no UTF-8 text; the file seems to be {}", bad, Byte(view, bad),
         Guess(view, bad, where));
  if (view.starts_with("\xef\xbb\xbf"sv)) bytes.erase(0, 3);
  return bytes;
}

}  // namespace ecld
