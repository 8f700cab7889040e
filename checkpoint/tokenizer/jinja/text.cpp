#include "checkpoint/tokenizer/jinja/text.h"

#include <utf8proc.h>

#include <algorithm>

#include "checkpoint/tokenizer/jinja/value.h"
#include "checkpoint/tokenizer/utf8.h"

namespace ecld::jinja {
namespace {

bool IsSpace(std::string_view character) {
  uint32_t code = CharAt(character, 0).code;
  return IsWhiteSpace(code) || (code >= 0x1c && code <= 0x1f);
}

using CaseMapping = utf8proc_int32_t (*)(utf8proc_int32_t);

void AppendMapped(std::string_view character, CaseMapping mapping, std::string& out) {
  uint32_t code = CharAt(character, 0).code;
  if (code == kInvalidCodePoint)
    out += character;
  else
    AppendUtf8(static_cast<uint32_t>(mapping(static_cast<utf8proc_int32_t>(code))), out);
}

std::string Mapped(std::string_view text, CaseMapping mapping) {
  std::string out;
  for (std::string_view character : Characters(text)) AppendMapped(character, mapping, out);
  return out;
}

}  // namespace

std::string Strip(std::string_view text, const std::string* characters, bool left, bool right) {
  std::vector<std::string_view> all = Characters(text);
  std::vector<std::string_view> set = characters ? Characters(*characters) : std::vector<std::string_view>();
  auto stripped = [&](std::string_view character) {
    return characters ? std::find(set.begin(), set.end(), character) != set.end() : IsSpace(character);
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

std::vector<std::string> SplitAtSpace(std::string_view text, int64_t limit) {
  std::vector<std::string> parts;
  std::string rest = Strip(text, nullptr, true, false);
  while (!rest.empty()) {
    if (limit >= 0 && static_cast<int64_t>(parts.size()) == limit) {
      parts.push_back(rest);
      break;
    }
    size_t end = 0;
    while (end < rest.size() && !IsSpace(std::string_view(rest).substr(end))) end += CharAt(rest, end).size;
    parts.push_back(rest.substr(0, end));
    rest = Strip(std::string_view(rest).substr(end), nullptr, true, false);
  }
  return parts;
}

std::string Upper(std::string_view text) { return Mapped(text, utf8proc_toupper); }
std::string Lower(std::string_view text) { return Mapped(text, utf8proc_tolower); }

std::string Title(std::string_view text) {
  std::string out;
  bool inside = false;  // a word
  for (std::string_view character : Characters(text)) {
    AppendMapped(character, inside ? utf8proc_tolower : utf8proc_totitle, out);
    auto code = static_cast<utf8proc_int32_t>(CharAt(character, 0).code);
    utf8proc_category_t category = code < 0 ? UTF8PROC_CATEGORY_CN : utf8proc_category(code);
    inside = category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
  }
  return out;
}

std::string Capitalized(std::string_view text) {
  std::string out;
  for (std::string_view character : Characters(text))
    AppendMapped(character, out.empty() ? utf8proc_totitle : utf8proc_tolower, out);
  return out;
}

}  // namespace ecld::jinja
