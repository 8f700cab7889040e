#include "checkpoint/tokenizer/token_decoder.h"

#include "checkpoint/known_fields.h"
#include "checkpoint/tokenizer/bpe.h"
#include "checkpoint/tokenizer/normalizer.h"
#include "core/error.h"

namespace ecld {
namespace {

// The value of "<0x41>", -1 for any other token.
int ByteOfToken(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return -1;
  int value = 0;
  for (char c : token.substr(3, 2)) {
    int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

}  // namespace

TokenDecoder::TokenDecoder(const JsonView& json) {
  if (json.json().is_null())
    Fail(json.Where(), "null is not supported: without a decoder ids cannot become the text they came from");
  AddStep(json);
}

void TokenDecoder::AddStep(const JsonView& json) {
  std::string type = json.At("type").String();
  if (type == "Sequence") {
    RequireKeys(json, {"type", "decoders"});
    JsonView steps = json.At("decoders");
    for (size_t i = 0; i < steps.Size(); ++i) AddStep(steps.At(i));
  } else if (type == "ByteLevel") {
    RequireKeys(json, {"type", "add_prefix_space", "trim_offsets", "use_regex"});
    byte_level_ = true;
  } else if (type == "ByteFallback") {
    RequireKeys(json, {"type"});
    byte_fallback_ = true;
  } else if (type == "Fuse") {
    RequireKeys(json, {"type"});
    fused_ = true;
  } else if (type == "Replace") {
    RequireKeys(json, {"type", "pattern", "content"});
    if (fused_) Fail(json.Where(), "Replace after Fuse is not supported");
    replaces_.push_back({FixedPattern(json.At("pattern")), json.At("content").String()});
  } else if (type == "Metaspace") {
    RequireKeys(json, {"type", "replacement", "prepend_scheme", "add_prefix_space", "split", "str_rep"});
    std::string mark = json.At("replacement").String();
    if (mark.empty()) Fail(json.At("replacement").Where(), "is empty, expected one character");
    replaces_.push_back({mark, " "});
    first_without_spaces_ =
        json.StringOr("prepend_scheme", json.BoolOr("add_prefix_space", true) ? "always" : "never") != "never";
  } else if (type == "Strip") {
    RequireKeys(json, {"type", "content", "start", "stop"});
    if (!fused_) Fail(json.Where(), "Strip before Fuse is not supported");
    strip_ = json.At("content").String();
    strip_start_ = json.At("start").Int();
    strip_stop_ = json.At("stop").Int();
  } else {
    Fail(json.Where(),
         "decoder \"{}\" is not supported (supported: ByteLevel, Metaspace, Replace, ByteFallback, Fuse, Strip, "
         "Sequence)",
         type);
  }
}

std::string TokenDecoder::Bytes(std::string_view token) const {
  if (byte_level_) {
    std::string bytes;
    return BytesOfByteLevelToken(token, bytes) ? bytes : std::string(token);
  }
  std::string text(token);
  for (const Replace& replace : replaces_) text = ReplaceAll(text, replace.pattern, replace.content);
  if (int byte = byte_fallback_ ? ByteOfToken(text) : -1; byte >= 0) return {static_cast<char>(byte)};
  return text;
}

void TokenDecoder::Strip(std::string& text) const {
  if (strip_.empty()) return;
  for (int64_t i = 0; i < strip_start_ && text.starts_with(strip_); ++i) text.erase(0, strip_.size());
  for (int64_t i = 0; i < strip_stop_ && text.ends_with(strip_); ++i) text.resize(text.size() - strip_.size());
}

}  // namespace ecld
