#include "jinja/text.h"

#include <utf8proc.h>

#include <algorithm>

#include "core/error.h"
#include "core/unicode.h"
#include "jinja/value.h"

namespace ecld::jinja {
namespace {

utf8proc_category_t Category(uint32_t code) {
  return code == kInvalidCodePoint ? UTF8PROC_CATEGORY_CN : utf8proc_category(static_cast<utf8proc_int32_t>(code));
}

bool IsUpper(uint32_t code) {
  return code != kInvalidCodePoint && utf8proc_isupper(static_cast<utf8proc_int32_t>(code));
}
bool IsLower(uint32_t code) {
  return code != kInvalidCodePoint && utf8proc_islower(static_cast<utf8proc_int32_t>(code));
}
bool IsCased(uint32_t code) { return IsUpper(code) || IsLower(code) || Category(code) == UTF8PROC_CATEGORY_LT; }
bool IsLetter(uint32_t code) {
  utf8proc_category_t category = Category(code);
  return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}
// Superscripts, subscripts and circled digits have the value of a digit, though they are no decimal ones.
bool IsDigit(uint32_t code) {
  return Category(code) == UTF8PROC_CATEGORY_ND || code == 0xb2 || code == 0xb3 || code == 0xb9 || code == 0x2070 ||
         (code >= 0x2074 && code <= 0x2079) || (code >= 0x2080 && code <= 0x2089) || (code >= 0x2460 && code <= 0x2468);
}

// Letters whose other case is several letters (Unicode's SpecialCasing), of which texts have some.
struct LongMapping {
  uint32_t code;
  const char *upper, *title;
};
constexpr LongMapping kLongMappings[] = {
    {0xdf, "SS", "Ss"},   {0x149, "ʼN", "ʼN"},    {0x1f0, "J̌", "J̌"},      {0xfb00, "FF", "Ff"}, {0xfb01, "FI", "Fi"},
    {0xfb02, "FL", "Fl"}, {0xfb03, "FFI", "Ffi"}, {0xfb04, "FFL", "Ffl"}, {0xfb05, "ST", "St"}, {0xfb06, "ST", "St"},
    {0x587, "ԵՒ", "Եւ"},  {0x1e96, "H̱", "H̱"},     {0x1e97, "T̈", "T̈"},     {0x1e98, "W̊", "W̊"},   {0x1e99, "Y̊", "Y̊"}};

enum class Case { kUpper, kLower, kTitle };

void AppendMapped(std::string_view character, Case to, std::string& out) {
  uint32_t code = CharAt(character, 0).code;
  if (code == kInvalidCodePoint) {
    out += character;
    return;
  }
  for (const LongMapping& mapping : kLongMappings) {
    if (mapping.code != code || to == Case::kLower) continue;
    out += to == Case::kUpper ? mapping.upper : mapping.title;
    return;
  }
  if (code == 0x130 && to == Case::kLower) {
    out += "i̇";
    return;
  }
  auto number = static_cast<utf8proc_int32_t>(code);
  number = to == Case::kUpper   ? utf8proc_toupper(number)
           : to == Case::kLower ? utf8proc_tolower(number)
                                : utf8proc_totitle(number);
  AppendUtf8(static_cast<uint32_t>(number), out);
}

uint32_t CodeOf(std::string_view character) { return CharAt(character, 0).code; }

// A capital sigma is another small letter at the end of a word.
bool IsFinalSigma(const std::vector<std::string_view>& all, size_t at) {
  if (CodeOf(all[at]) != 0x3a3 || at == 0 || !IsCased(CodeOf(all[at - 1]))) return false;
  return at + 1 == all.size() || !IsCased(CodeOf(all[at + 1]));
}

void AppendLower(const std::vector<std::string_view>& all, size_t at, std::string& out) {
  if (IsFinalSigma(all, at))
    out += "ς";
  else
    AppendMapped(all[at], Case::kLower, out);
}

}  // namespace

bool IsSpace(uint32_t code) { return IsWhiteSpace(code) || (code >= 0x1c && code <= 0x1f); }

bool IsPrintable(uint32_t code) {
  if (code == ' ') return true;
  utf8proc_category_t category = Category(code);
  return category != UTF8PROC_CATEGORY_CN && category < UTF8PROC_CATEGORY_ZS;
}

std::string Strip(std::string_view text, const std::string* characters, bool left, bool right) {
  std::vector<std::string_view> all = Characters(text);
  std::vector<std::string_view> set = characters ? Characters(*characters) : std::vector<std::string_view>();
  auto stripped = [&](std::string_view character) {
    return characters ? std::find(set.begin(), set.end(), character) != set.end() : IsSpace(CodeOf(character));
  };
  size_t begin = 0, end = all.size();
  while (left && begin < end && stripped(all[begin])) text.remove_prefix(all[begin++].size());
  while (right && begin < end && stripped(all[end - 1])) text.remove_suffix(all[--end].size());
  return std::string(text);
}

std::vector<std::string> SplitAt(std::string_view text, std::string_view separator, int64_t limit, bool from_right) {
  std::vector<std::string> parts;
  auto more = [&] { return limit < 0 || static_cast<int64_t>(parts.size()) < limit; };
  if (from_right) {
    for (size_t at; more() && (at = text.rfind(separator)) != std::string_view::npos; text = text.substr(0, at))
      parts.emplace_back(text.substr(at + separator.size()));
    parts.emplace_back(text);
    std::reverse(parts.begin(), parts.end());
    return parts;
  }
  for (size_t at; more() && (at = text.find(separator)) != std::string_view::npos;) {
    parts.emplace_back(text.substr(0, at));
    text.remove_prefix(at + separator.size());
  }
  parts.emplace_back(text);
  return parts;
}

std::vector<std::string> SplitAtSpace(std::string_view text, int64_t limit, bool from_right) {
  std::vector<std::string_view> all = Characters(text);
  if (from_right) std::reverse(all.begin(), all.end());
  std::vector<std::string> parts;
  auto space = [&](size_t i) { return IsSpace(CodeOf(all[i])); };
  size_t at = 0;
  auto skip = [&] {
    while (at < all.size() && space(at)) ++at;
  };
  for (skip(); at < all.size(); skip()) {
    const bool rest = limit >= 0 && static_cast<int64_t>(parts.size()) == limit;
    size_t end = rest ? all.size() : at;
    while (!rest && end < all.size() && !space(end)) ++end;
    // The views lie side by side in the text, forwards or backwards.
    const char* first = from_right ? all[end - 1].data() : all[at].data();
    const std::string_view last = from_right ? all[at] : all[end - 1];
    parts.emplace_back(first, last.data() + last.size());
    at = rest ? all.size() : end;
  }
  if (from_right) std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<std::string> SplitLines(std::string_view text, bool keep_ends) {
  std::vector<std::string> lines;
  size_t start = 0;
  for (size_t i = 0; i < text.size();) {
    const Utf8Char c = CharAt(text, i);
    size_t next = i + c.size;
    const bool ends = (c.code >= '\n' && c.code <= '\r') || (c.code >= 0x1c && c.code <= 0x1e) || c.code == 0x85 ||
                      c.code == 0x2028 || c.code == 0x2029;
    if (c.code == '\r' && next < text.size() && text[next] == '\n') ++next;
    if (ends) {
      lines.emplace_back(text.substr(start, (keep_ends ? next : i) - start));
      start = next;
    }
    i = next;
  }
  if (start < text.size()) lines.emplace_back(text.substr(start));
  return lines;
}

std::string Replaced(std::string_view text, std::string_view pattern, std::string_view content, int64_t limit) {
  std::string out;
  auto more = [&] { return limit < 0 || limit-- > 0; };
  if (pattern.empty()) {
    for (std::string_view character : Characters(text)) (out += more() ? content : "") += character;
    return out += more() ? content : "";
  }
  size_t at = 0, found;
  while ((found = text.find(pattern, at)) != std::string_view::npos && more()) {
    (out += text.substr(at, found - at)) += content;
    at = found + pattern.size();
  }
  return out += text.substr(at);
}

std::string Upper(std::string_view text) {
  std::string out;
  for (std::string_view character : Characters(text)) AppendMapped(character, Case::kUpper, out);
  return out;
}

std::string Lower(std::string_view text) {
  std::string out;
  std::vector<std::string_view> all = Characters(text);
  for (size_t i = 0; i < all.size(); ++i) AppendLower(all, i, out);
  return out;
}

std::string Title(std::string_view text) {
  std::string out;
  bool inside = false;  // a word
  std::vector<std::string_view> all = Characters(text);
  for (size_t i = 0; i < all.size(); ++i) {
    if (inside)
      AppendLower(all, i, out);
    else
      AppendMapped(all[i], Case::kTitle, out);
    inside = IsCased(CodeOf(all[i]));
  }
  return out;
}

std::string Capitalized(std::string_view text) {
  std::string out;
  std::vector<std::string_view> all = Characters(text);
  if (!all.empty()) AppendMapped(all[0], Case::kTitle, out);
  for (size_t i = 1; i < all.size(); ++i) AppendLower(all, i, out);
  return out;
}

std::string SwapCase(std::string_view text) {
  std::string out;
  for (std::string_view character : Characters(text))
    AppendMapped(character, IsUpper(CodeOf(character)) ? Case::kLower : Case::kUpper, out);
  return out;
}

std::string CaseFolded(std::string_view text) {
  std::string out;
  for (std::string_view character : Characters(text)) {
    uint32_t code = CodeOf(character);
    utf8proc_int32_t folded[8];
    utf8proc_ssize_t count = code == kInvalidCodePoint ? 0
                                                       : utf8proc_decompose_char(static_cast<utf8proc_int32_t>(code),
                                                                                 folded, 8, UTF8PROC_CASEFOLD, nullptr);
    if (count <= 0) out += character;
    for (utf8proc_ssize_t i = 0; i < std::min<utf8proc_ssize_t>(count, 8); ++i)
      AppendUtf8(static_cast<uint32_t>(folded[i]), out);
  }
  return out;
}

std::string Escaped(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&#34;";
    else if (c == '\'')
      out += "&#39;";
    else
      out += c;
  }
  return out;
}

std::string CodeEscape(uint32_t code) {
  if (code <= 0xff) return fmt::format("\\x{:02x}", code);
  return code <= 0xffff ? fmt::format("\\u{:04x}", code) : fmt::format("\\U{:08x}", code);
}

namespace {

bool IsTitle(const std::vector<std::string_view>& all) {
  bool cased = false, inside = false;
  for (std::string_view character : all) {
    uint32_t code = CodeOf(character);
    if (IsCased(code) && IsLower(code) != inside) return false;
    inside = IsCased(code);
    cased = cased || inside;
  }
  return cased;
}

bool IsIdentifier(const std::vector<std::string_view>& all) {
  for (size_t i = 0; i < all.size(); ++i) {
    uint32_t code = CodeOf(all[i]);
    if (!(IsLetter(code) || code == '_' || (i > 0 && IsWordCharacter(code)))) return false;
  }
  return !all.empty();
}

struct Property {
  std::string_view name;
  bool (*holds)(uint32_t code);
};
// What every character must be; of an empty text only the last two are true.
constexpr Property kProperties[] = {
    {"isalpha", IsLetter},
    {"isdecimal", [](uint32_t code) { return Category(code) == UTF8PROC_CATEGORY_ND; }},
    {"isdigit", IsDigit},
    {"isnumeric", IsNumeric},
    {"isalnum", [](uint32_t code) { return IsLetter(code) || IsNumeric(code); }},
    {"isspace", IsSpace},
    {"isprintable", IsPrintable},
    {"isascii", [](uint32_t code) { return code < 0x80; }},
};

}  // namespace

bool HasProperty(std::string_view text, std::string_view name, bool* known) {
  std::vector<std::string_view> all = Characters(text);
  auto every = [&](auto&& holds) {
    return std::all_of(all.begin(), all.end(), [&](std::string_view character) { return holds(CodeOf(character)); });
  };
  *known = true;
  if (name == "istitle") return IsTitle(all);
  if (name == "isidentifier") return IsIdentifier(all);
  if (name == "isupper" || name == "islower") {
    const bool upper = name == "isupper";
    return every([&](uint32_t code) { return !IsCased(code) || (upper ? IsUpper(code) : IsLower(code)); }) &&
           !every([](uint32_t code) { return !IsCased(code); });
  }
  for (const Property& property : kProperties)
    if (property.name == name)
      return every(property.holds) && (!all.empty() || name == "isprintable" || name == "isascii");
  *known = false;
  return false;
}

}  // namespace ecld::jinja
