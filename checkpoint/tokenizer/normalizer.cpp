#include "checkpoint/tokenizer/normalizer.h"

#include <utf8proc.h>

#include <cstdlib>
#include <memory>

#include "checkpoint/known_fields.h"
#include "core/error.h"
#include "core/unicode.h"

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

constexpr int kComposed = UTF8PROC_COMPOSE, kDecomposed = UTF8PROC_DECOMPOSE;

// Appends valid text in the normalization form that the options of utf8proc say.
void AppendForm(std::string_view text, int form, std::string& out) {
  utf8proc_uint8_t* mapped = nullptr;
  utf8proc_ssize_t size =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()),
                   &mapped, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | form));
  std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(mapped, &std::free);
  if (size < 0) throw std::bad_alloc();  // the only failure left for valid text
  out.append(reinterpret_cast<const char*>(mapped), static_cast<size_t>(size));
}

std::string ToForm(std::string_view text, int form) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t valid = ValidRun(text, at);
    if (valid > 0) AppendForm(text.substr(at, valid), form, out);
    const size_t invalid = InvalidRun(text, at + valid);
    out.append(text.substr(at + valid, invalid));
    at += valid + invalid;
  }
  return out;
}

// Copies text, character by character: change(code, bytes, &out) appends what becomes of each.
template <class Change>
std::string MapCharacters(std::string_view text, const Change& change) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const Utf8Char c = CharAt(text, i);
    change(c.code, text.substr(i, c.size), &out);
    i += c.size;
  }
  return out;
}

// U+0130 is the one character whose lower case is two.
void AppendLower(uint32_t code, std::string_view bytes, std::string* out) {
  if (code == kInvalidCodePoint)
    out->append(bytes);
  else if (code == 0x130)
    out->append("i\xcc\x87");
  else
    AppendUtf8(static_cast<uint32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(code))), *out);
}

// The filter of neural machine translation in sentencepiece: controls go, marks of white space become spaces.
void AppendNmt(uint32_t code, std::string_view bytes, std::string* out) {
  const bool dropped = (code >= 0x1 && code <= 0x8) || code == 0xb || (code >= 0xe && code <= 0x1f) || code == 0x7f ||
                       code == 0x8f || code == 0x9f;
  const bool space = code == 0x9 || code == 0xa || code == 0xc || code == 0xd || code == 0x1680 ||
                     (code >= 0x200b && code <= 0x200f) || code == 0x2028 || code == 0x2029 || code == 0x2581 ||
                     code == 0xfeff || code == 0xfffd;
  if (!dropped) out->append(space ? std::string_view(" ") : bytes);
}

std::string_view StripEnds(std::string_view text, bool left, bool right) {
  while (left && !text.empty() && IsWhiteSpace(CharAt(text, 0).code)) text.remove_prefix(CharAt(text, 0).size);
  while (right && !text.empty() && IsWhiteSpace(CharBefore(text, text.size()).code))
    text.remove_suffix(CharBefore(text, text.size()).size);
  return text;
}

std::string ReplaceMatches(const SplitRegex& regex, std::string_view text, std::string_view content) {
  std::string out;
  regex.Split(text, [&](std::string_view piece, bool is_match) { out.append(is_match ? content : piece); });
  return out;
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
    AppendForm(text.substr(begin, i - begin), kComposed, storage);
    done = previous = i;
  }
  if (!changed) return text;
  storage.append(text.substr(done));
  return storage;
}

std::string FixedPattern(const JsonView& pattern) {
  if (pattern.json().is_object() && pattern.Has("Regex"))
    Fail(pattern.Where(), "a Regex is not supported here, expected a String");
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
  auto plain = [&](Step::Kind kind) {
    RequireKeys(json, {"type"});
    steps_.push_back({.kind = kind});
  };
  if (type == "Sequence") {
    RequireKeys(json, {"type", "normalizers"});
    JsonView steps = json.At("normalizers");
    for (size_t i = 0; i < steps.Size(); ++i) AddStep(steps.At(i));
  } else if (type == "NFC") {
    plain(Step::kNfc);
  } else if (type == "NFD") {
    plain(Step::kNfd);
  } else if (type == "NFKC") {
    plain(Step::kNfkc);
  } else if (type == "NFKD") {
    plain(Step::kNfkd);
  } else if (type == "Lowercase") {
    plain(Step::kLowercase);
  } else if (type == "StripAccents") {
    plain(Step::kStripAccents);
  } else if (type == "Nmt") {
    plain(Step::kNmt);
  } else if (type == "Strip") {
    RequireKeys(json, {"type", "strip_left", "strip_right"});
    steps_.push_back(
        {.kind = Step::kStrip, .left = json.At("strip_left").Bool(), .right = json.At("strip_right").Bool()});
  } else if (type == "Prepend") {
    RequireKeys(json, {"type", "prepend"});
    steps_.push_back({.kind = Step::kPrepend, .content = json.At("prepend").String()});
  } else if (type == "Replace") {
    AddReplace(json);
  } else if (type == "Precompiled") {
    RequireKeys(json, {"type", "precompiled_charsmap"});
    const JsonView map = json.At("precompiled_charsmap");
    if (map.json().is_null()) return;  // how an empty one is written
    steps_.push_back({.kind = Step::kCharsmap, .charsmap = std::make_shared<Charsmap>(map.String(), map.Where())});
  } else {
    Fail(json.Where(),
         "normalizer \"{}\" is not supported (supported: NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, Strip, Nmt, "
         "Prepend, Replace, Precompiled, Sequence)",
         type);
  }
}

void Normalizer::AddReplace(const JsonView& json) {
  RequireKeys(json, {"type", "pattern", "content"});
  Step step{.kind = Step::kReplace, .content = json.At("content").String()};
  const JsonView pattern = json.At("pattern");
  RequireKeys(pattern, {"String", "Regex"});
  if (pattern.Has("Regex"))
    step.regex = std::make_shared<SplitRegex>(pattern.At("Regex").String(), pattern.At("Regex").Where());
  else
    step.pattern = FixedPattern(pattern);
  steps_.push_back(std::move(step));
}

std::string Normalizer::Run(const Step& step, std::string_view text) {
  switch (step.kind) {
    case Step::kNfc:
      break;  // Apply, which need not copy
    case Step::kNfd:
      return ToForm(text, kDecomposed);
    case Step::kNfkc:
      return ToForm(text, kComposed | UTF8PROC_COMPAT);
    case Step::kNfkd:
      return ToForm(text, kDecomposed | UTF8PROC_COMPAT);
    case Step::kLowercase:
      return MapCharacters(text, AppendLower);
    case Step::kStripAccents:
      return MapCharacters(text, [](uint32_t code, std::string_view bytes, std::string* out) {
        if (!IsMark(code)) out->append(bytes);
      });
    case Step::kNmt:
      return MapCharacters(text, AppendNmt);
    case Step::kStrip:
      return std::string(StripEnds(text, step.left, step.right));
    case Step::kPrepend:
      return text.empty() ? std::string() : step.content + std::string(text);
    case Step::kReplace:
      return step.regex ? ReplaceMatches(*step.regex, text, step.content)
                        : ReplaceAll(text, step.pattern, step.content);
    case Step::kCharsmap:
      return step.charsmap->Apply(text);
  }
  return std::string(text);
}

std::string_view Normalizer::Apply(std::string_view text, std::string& storage) const {
  for (const Step& step : steps_) {
    if (step.kind == Step::kNfc) {
      std::string composed;
      if (ToNfc(text, composed).data() == text.data()) continue;
      storage = std::move(composed);
    } else {
      if (step.kind == Step::kReplace && !step.regex && text.find(step.pattern) == std::string_view::npos) continue;
      storage = Run(step, text);
    }
    text = storage;
  }
  return text;
}

}  // namespace ecld
