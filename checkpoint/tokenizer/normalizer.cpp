#include "checkpoint/tokenizer/normalizer.h"

#include <utf8proc.h>

#include <cstdlib>
#include <memory>

#include "checkpoint/tokenizer/utf8.h"
#include "core/error.h"

namespace ecld {
namespace {

// True for characters that neither change under NFC nor combine with what stands before them: text of such
// characters only is in form C. Errs on the side of false.
bool IsPlain(uint32_t code) {
  if (code < 0x300 || code == kInvalidCodePoint) return true;
  if (code >= 0x1100 && code <= 0x11ff) return false;  // Hangul jamo compose by arithmetic
  if (code >= 0xac00 && code <= 0xd7a3) return true;   // Hangul syllables are the composed form
  const utf8proc_property_t* property = utf8proc_get_property(static_cast<utf8proc_int32_t>(code));
  bool mark = property->category == UTF8PROC_CATEGORY_MN || property->category == UTF8PROC_CATEGORY_MC ||
              property->category == UTF8PROC_CATEGORY_ME;
  return !mark && property->combining_class == 0 && property->decomp_seqindex == UINT16_MAX;
}

void AppendNfc(std::string_view text, std::string& out) {
  utf8proc_uint8_t* mapped = nullptr;
  utf8proc_ssize_t size =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()),
                   &mapped, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(mapped, &std::free);
  if (size < 0) throw std::bad_alloc();  // the only failure left for valid text
  out.append(reinterpret_cast<const char*>(mapped), static_cast<size_t>(size));
}

}  // namespace

std::string_view ToNfc(std::string_view text, std::string& storage) {
  size_t done = 0, previous = 0;  // text[0, done) is in storage; previous: start of the character before i
  bool changed = false;
  storage.clear();
  for (size_t i = 0; i < text.size();) {
    Utf8Char c = CharAt(text, i);
    if (IsPlain(c.code)) {
      previous = i;
      i += c.size;
      continue;
    }
    // The character before may combine with this one, so the run starts there (unless it is an invalid byte).
    size_t begin = previous < i && CharAt(text, previous).code != kInvalidCodePoint ? previous : i;
    if (begin < done) begin = i;
    while (i < text.size() && !IsPlain(CharAt(text, i).code)) i += CharAt(text, i).size;
    if (!changed) storage.reserve(text.size() + 64);
    changed = true;
    storage.append(text.substr(done, begin - done));
    AppendNfc(text.substr(begin, i - begin), storage);
    done = previous = i;
  }
  if (!changed) return text;
  storage.append(text.substr(done));
  return storage;
}

std::string FixedPattern(const JsonView& pattern) {
  if (pattern.json().is_object() && pattern.Has("Regex"))
    Fail(pattern.Where(), "a Regex is supported in a Split pre-tokenizer only, expected a String");
  std::string text = pattern.At("String").String();
  if (text.empty()) Fail(pattern.Where(), "the string to look for is empty");
  return text;
}

std::string ReplaceAll(std::string_view text, std::string_view pattern, std::string_view content) {
  std::string out;
  out.reserve(text.size());
  size_t done = 0;
  for (size_t at; (at = text.find(pattern, done)) != std::string_view::npos; done = at + pattern.size()) {
    out.append(text.substr(done, at - done));
    out.append(content);
  }
  out.append(text.substr(done));
  return out;
}

Normalizer::Normalizer(const JsonView& json) { AddStep(json); }

void Normalizer::AddStep(const JsonView& json) {
  std::string type = json.At("type").String();
  if (type == "Sequence") {
    JsonView steps = json.At("normalizers");
    for (size_t i = 0; i < steps.Size(); ++i) AddStep(steps.At(i));
  } else if (type == "NFC") {
    steps_.push_back({Step::kNfc, "", ""});
  } else if (type == "Prepend") {
    steps_.push_back({Step::kPrepend, "", json.At("prepend").String()});
  } else if (type == "Replace") {
    steps_.push_back({Step::kReplace, FixedPattern(json.At("pattern")), json.At("content").String()});
  } else {
    Fail(json.Where(), "normalizer \"{}\" is not supported (supported: NFC, Prepend, Replace, Sequence)", type);
  }
}

std::string_view Normalizer::Apply(std::string_view text, std::string& storage) const {
  for (const Step& step : steps_) {
    if (step.kind == Step::kNfc) {
      std::string composed;
      if (ToNfc(text, composed).data() == text.data()) continue;
      storage = std::move(composed);
    } else if (step.kind == Step::kPrepend) {
      if (text.empty()) continue;
      storage = step.content + std::string(text);
    } else {
      if (text.find(step.pattern) == std::string_view::npos) continue;
      storage = ReplaceAll(text, step.pattern, step.content);
    }
    text = storage;
  }
  return text;
}

}  // namespace ecld
