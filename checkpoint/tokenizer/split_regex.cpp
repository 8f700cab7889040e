#include "checkpoint/tokenizer/split_regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <memory>

#include "core/error.h"
#include "core/unicode.h"

namespace ecld {
namespace {

std::string ErrorText(int code) {
  PCRE2_UCHAR text[256];
  pcre2_get_error_message(code, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

struct FreeMatchData {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};

pcre2_match_data* ThreadMatchData() {
  thread_local std::unique_ptr<pcre2_match_data, FreeMatchData> data(pcre2_match_data_create(1, nullptr));
  if (!data) throw std::bad_alloc();
  return data.get();
}

// Patterns of tokenizer.json are written for Oniguruma. THROWS Error at what it reads in another way than PCRE2.
void RequireSameMeaning(std::string_view pattern, const std::string& where) {
  const auto refuse = [&](size_t at, const char* what) {
    Fail(where, "{} is not supported, at \"{}\"", what, pattern.substr(at, 20));
  };
  bool in_class = false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const std::string_view rest = pattern.substr(i);
    if (rest[0] == '\\') {
      if (rest.size() > 1 && std::string_view("hHKv").find(rest[1]) != std::string_view::npos)
        refuse(i, "an escape that means another thing in Oniguruma");
      ++i;
    } else if (in_class) {
      if (rest[0] == '[') refuse(i, "a class within a class");
      if (rest.starts_with("&&")) refuse(i, "an intersection of classes");
      in_class = rest[0] != ']';
    } else if (rest[0] == '[') {
      in_class = true;
      if (rest.starts_with("[^")) ++i;
      if (pattern.substr(i + 1).starts_with("]")) ++i;  // the first one stands for itself
    } else if (rest.starts_with("(?m")) {
      refuse(i, "the option m, where a dot is also a new line,");
    } else if (rest.starts_with("{,")) {
      refuse(i, "a repetition without a least number");
    }
  }
}

}  // namespace

std::string TranslateWhiteSpace(std::string_view pattern) {
  std::string out;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '\\' || i + 1 == pattern.size()) {
      out += pattern[i];
      continue;
    }
    char next = pattern[++i];
    if (next == 's')
      out += "\\p{White_Space}";
    else if (next == 'S')
      out += "\\P{White_Space}";
    else
      (out += '\\') += next;
  }
  return out;
}

SplitRegex::SplitRegex(const std::string& pattern, const std::string& where) : where_(where) {
  RequireSameMeaning(pattern, where);
  std::string translated = TranslateWhiteSpace(pattern);
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* code =
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                    PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error, &offset, nullptr);
  if (!code)
    Fail(where, "not a valid regular expression: {}, at \"{}\"", ErrorText(error), translated.substr(offset, 20));
  // Where a processor has no JIT the same pattern is interpreted.
  pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
  code_ = code;
}

SplitRegex::~SplitRegex() { pcre2_code_free(static_cast<pcre2_code*>(code_)); }

void SplitRegex::Split(std::string_view text, const Emit& emit) const {
  for (size_t at = 0; at < text.size();) {
    if (size_t valid = ValidRun(text, at); valid > 0) {
      SplitValid(text.substr(at, valid), emit);
      at += valid;
    }
    if (size_t invalid = InvalidRun(text, at); invalid > 0) {
      emit(text.substr(at, invalid), false);
      at += invalid;
    }
  }
}

void SplitRegex::SplitValid(std::string_view text, const Emit& emit) const {
  auto* code = static_cast<pcre2_code*>(code_);
  pcre2_match_data* data = ThreadMatchData();
  auto subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  size_t done = 0;
  for (size_t at = 0; at < text.size();) {
    int found = pcre2_match(code, subject, text.size(), at, PCRE2_NO_UTF_CHECK, data, nullptr);
    if (found == PCRE2_ERROR_JIT_STACKLIMIT)
      found = pcre2_match(code, subject, text.size(), at, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, data, nullptr);
    if (found == PCRE2_ERROR_NOMATCH) break;
    if (found < 0) Fail(where_, "the regular expression cannot be matched against this text: {}", ErrorText(found));
    // Copied, since emit may match another pattern on this thread.
    size_t begin = pcre2_get_ovector_pointer(data)[0], end = pcre2_get_ovector_pointer(data)[1];
    // \K can put the start of a match anywhere; a match that does not advance is no cut.
    if (end <= begin || begin < done) {
      at += CharAt(text, at).size;
      continue;
    }
    if (begin > done) emit(text.substr(done, begin - done), false);
    done = at = end;
    emit(text.substr(begin, end - begin), true);
  }
  if (done < text.size()) emit(text.substr(done), false);
}

}  // namespace ecld
