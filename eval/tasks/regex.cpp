#include "eval/tasks/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>

#include "core/error.h"
#include "core/utf8.h"

namespace ecld {
namespace {

PCRE2_SPTR Bytes(std::string_view text) { return reinterpret_cast<PCRE2_SPTR>(text.data()); }

std::string ErrorText(int code) {
  PCRE2_UCHAR text[256];
  pcre2_get_error_message(code, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

using MatchData = std::unique_ptr<pcre2_match_data, void (*)(pcre2_match_data*)>;

MatchData NewMatchData(const pcre2_code* code) {
  MatchData data(pcre2_match_data_create_from_pattern(code, nullptr), pcre2_match_data_free);
  if (!data) throw std::bad_alloc();
  return data;
}

}  // namespace

Regex::Regex(const std::string& pattern, std::string where) : where_(std::move(where)) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* code = pcre2_compile(Bytes(pattern), pattern.size(), PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C,
                                   &error, &offset, nullptr);
  if (!code)
    Fail(where_, "not a valid regular expression: {}, at \"{}\"", ErrorText(error), pattern.substr(offset, 20));
  code_ = std::shared_ptr<void>(code, [](void* of) { pcre2_code_free(static_cast<pcre2_code*>(of)); });
}

bool Regex::Matches(std::string_view text) const {
  const auto* code = static_cast<const pcre2_code*>(code_.get());
  MatchData data = NewMatchData(code);
  const int found = pcre2_match(code, Bytes(text), text.size(), 0, 0, data.get(), nullptr);
  if (found < 0 && found != PCRE2_ERROR_NOMATCH) Fail(where_, "cannot be matched: {}", ErrorText(found));
  return found >= 0;
}

std::string Regex::Replace(std::string_view text, std::string_view with) const {
  const auto* code = static_cast<const pcre2_code*>(code_.get());
  std::string out(text.size() * 2 + 64, '\0');
  while (true) {
    PCRE2_SIZE size = out.size();
    const int done =
        pcre2_substitute(code, Bytes(text), text.size(), 0,
                         PCRE2_SUBSTITUTE_GLOBAL | PCRE2_SUBSTITUTE_OVERFLOW_LENGTH | PCRE2_SUBSTITUTE_UNSET_EMPTY,
                         nullptr, nullptr, Bytes(with), with.size(), reinterpret_cast<PCRE2_UCHAR*>(out.data()), &size);
    if (done == PCRE2_ERROR_NOMEMORY) {
      out.resize(size);
      continue;
    }
    if (done < 0) Fail(where_, "cannot be replaced by \"{}\": {}", with, ErrorText(done));
    out.resize(size);
    return out;
  }
}

std::vector<std::string> Regex::FindAll(std::string_view text) const {
  const auto* code = static_cast<const pcre2_code*>(code_.get());
  MatchData data = NewMatchData(code);
  std::vector<std::string> found;
  for (size_t at = 0; at <= text.size();) {
    const int groups = pcre2_match(code, Bytes(text), text.size(), at, 0, data.get(), nullptr);
    if (groups == PCRE2_ERROR_NOMATCH) break;
    if (groups < 0) Fail(where_, "cannot be matched: {}", ErrorText(groups));
    const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(data.get());
    const auto group = [&](int i) { return text.substr(ends[2 * i], ends[2 * i + 1] - ends[2 * i]); };
    std::string_view taken = groups == 1 ? group(0) : std::string_view();
    for (int i = 1; i < groups && taken.empty(); ++i)
      if (ends[2 * i] != PCRE2_UNSET) taken = group(i);
    found.emplace_back(taken);
    at = ends[1] > ends[0] ? ends[1] : ends[1] + (ends[1] < text.size() ? CharAt(text, ends[1]).size : 1);
  }
  return found;
}

}  // namespace ecld
