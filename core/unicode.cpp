#include "core/unicode.h"

#include <utf8proc.h>

#include <algorithm>

namespace ecld {

Utf8Char CharBefore(std::string_view text, size_t end) {
  for (size_t size = 1; size <= std::min<size_t>(4, end); ++size) {
    Utf8Char c = CharAt(text.substr(0, end), end - size);
    if (c.code != kInvalidCodePoint && c.size == size) return c;
  }
  return {kInvalidCodePoint, 1};
}

bool IsWhiteSpace(uint32_t code) {
  return (code >= 0x09 && code <= 0x0d) || code == 0x20 || code == 0x85 || code == 0xa0 || code == 0x1680 ||
         (code >= 0x2000 && code <= 0x200a) || code == 0x2028 || code == 0x2029 || code == 0x202f || code == 0x205f ||
         code == 0x3000;
}

namespace {

utf8proc_category_t Category(uint32_t code) {
  return code == kInvalidCodePoint ? UTF8PROC_CATEGORY_CN : utf8proc_category(static_cast<utf8proc_int32_t>(code));
}

}  // namespace

bool IsNumeric(uint32_t code) {
  utf8proc_category_t category = Category(code);
  return category == UTF8PROC_CATEGORY_ND || category == UTF8PROC_CATEGORY_NL || category == UTF8PROC_CATEGORY_NO;
}

// Rust's and Unicode's \w: Alphabetic, marks, decimal numbers, connectors, joiners. Alphabetic are letters, letter
// numbers, some marks, and the circled and squared letters among the symbols.
bool IsWordCharacter(uint32_t code) {
  utf8proc_category_t category = Category(code);
  if (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_NL) return true;
  const bool letter_symbol = (code >= 0x24b6 && code <= 0x24e9) || (code >= 0x1f130 && code <= 0x1f149) ||
                             (code >= 0x1f150 && code <= 0x1f169) || (code >= 0x1f170 && code <= 0x1f189);
  return category == UTF8PROC_CATEGORY_PC || letter_symbol || code == 0x200c || code == 0x200d;
}

bool IsMark(uint32_t code) {
  utf8proc_category_t category = Category(code);
  return category >= UTF8PROC_CATEGORY_MN && category <= UTF8PROC_CATEGORY_ME;
}

bool IsPunctuation(uint32_t code) {
  if (code < 0x80) return code > 0x20 && code < 0x7f && (code == '_' || !IsWordCharacter(code));
  utf8proc_category_t category = Category(code);
  return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
}

}  // namespace ecld
