#include "checkpoint/tokenizer/pre_tokenizer.h"

#include "checkpoint/tokenizer/normalizer.h"
#include "checkpoint/tokenizer/utf8.h"
#include "core/error.h"

namespace ecld {
namespace {

// The pattern of ByteLevel with use_regex (GPT-2, Radford et al. 2019, encoder.py).
constexpr const char* kGpt2Pattern = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

}  // namespace

PreTokenizer::PreTokenizer(const JsonView& json) { AddStage(json); }

void PreTokenizer::AddStage(const JsonView& json) {
  std::string type = json.At("type").String();
  if (byte_level_) Fail(json.Where(), "pre-tokenizer \"{}\" stands after ByteLevel, which must be the last", type);
  if (type == "Sequence") {
    JsonView stages = json.At("pretokenizers");
    for (size_t i = 0; i < stages.Size(); ++i) AddStage(stages.At(i));
  } else if (type == "Split") {
    AddSplit(json);
  } else if (type == "ByteLevel") {
    AddByteLevel(json);
  } else if (type == "Digits") {
    stages_.push_back({.kind = Stage::kDigits, .individual = json.BoolOr("individual_digits", false)});
  } else if (type == "Metaspace") {
    AddMetaspace(json);
  } else {
    Fail(json.Where(),
         "pre-tokenizer \"{}\" is not supported (supported: Split, ByteLevel, Digits, Metaspace, Sequence)", type);
  }
}

void PreTokenizer::AddSplit(const JsonView& json) {
  Stage stage{.kind = Stage::kRegex};
  std::string behavior = json.At("behavior").String();
  bool invert = json.BoolOr("invert", false);
  if (behavior == "Removed") {
    (invert ? stage.keep_gaps : stage.keep_matches) = false;
  } else if (behavior != "Isolated") {
    Fail(json.At("behavior").Where(), "\"{}\" is not supported (supported: Isolated, Removed)", behavior);
  }
  JsonView pattern = json.At("pattern");
  if (pattern.Has("Regex")) {
    stage.regex = std::make_shared<SplitRegex>(pattern.At("Regex").String(), pattern.At("Regex").Where());
  } else {
    stage.kind = Stage::kString;
    stage.text = FixedPattern(pattern);
  }
  stages_.push_back(std::move(stage));
}

void PreTokenizer::AddByteLevel(const JsonView& json) {
  if (json.BoolOr("add_prefix_space", true)) stages_.push_back({.kind = Stage::kPrefixSpace});
  if (json.BoolOr("use_regex", true))
    stages_.push_back({.kind = Stage::kRegex, .regex = std::make_shared<SplitRegex>(kGpt2Pattern, json.Where())});
  byte_level_ = true;
}

void PreTokenizer::AddMetaspace(const JsonView& json) {
  Stage stage{.kind = Stage::kMetaspace, .split = json.BoolOr("split", true)};
  stage.text = json.At("replacement").String();
  if (stage.text.empty()) Fail(json.At("replacement").Where(), "is empty, expected one character");
  // Files written before prepend_scheme existed say add_prefix_space.
  std::string scheme = json.StringOr("prepend_scheme", json.BoolOr("add_prefix_space", true) ? "always" : "never");
  if (scheme == "always")
    stage.prepend = Stage::kAlways;
  else if (scheme == "first")
    stage.prepend = Stage::kFirst;
  else if (scheme != "never")
    Fail(json.At("prepend_scheme").Where(), "\"{}\" is unknown, expected always, first or never", scheme);
  stages_.push_back(std::move(stage));
}

template <class Next>
void PreTokenizer::SplitDigits(const Stage& stage, std::string_view text, Next&& next) {
  size_t done = 0;
  for (size_t i = 0; i < text.size();) {
    Utf8Char c = CharAt(text, i);
    if (!IsNumeric(c.code)) {
      i += c.size;
      continue;
    }
    if (i > done) next(text.substr(done, i - done));
    done = i;
    do {
      i += CharAt(text, i).size;
    } while (!stage.individual && i < text.size() && IsNumeric(CharAt(text, i).code));
    next(text.substr(done, i - done));
    done = i;
  }
  if (done < text.size()) next(text.substr(done));
}

template <class Next>
void PreTokenizer::SplitAtString(const Stage& stage, std::string_view text, Next&& next) {
  size_t done = 0;
  for (size_t at; (at = text.find(stage.text, done)) != std::string_view::npos; done = at + stage.text.size()) {
    if (at > done && stage.keep_gaps) next(text.substr(done, at - done));
    if (stage.keep_matches) next(text.substr(at, stage.text.size()));
  }
  if (done < text.size() && stage.keep_gaps) next(text.substr(done));
}

template <class Next>
void PreTokenizer::SplitMetaspace(const Stage& stage, std::string_view text, bool at_start, Next&& next) {
  std::string marked = ReplaceAll(text, " ", stage.text);
  bool prepend = stage.prepend == Stage::kAlways || (stage.prepend == Stage::kFirst && at_start);
  if (prepend && !marked.starts_with(stage.text)) marked.insert(0, stage.text);
  std::string_view rest = marked;
  while (stage.split && !rest.empty()) {  // each mark starts a word
    size_t end = rest.find(stage.text, rest.starts_with(stage.text) ? stage.text.size() : 0);
    if (end == std::string_view::npos) break;
    next(rest.substr(0, end));
    rest.remove_prefix(end);
  }
  if (!rest.empty()) next(rest);
}

void PreTokenizer::Run(size_t index, std::string_view text, bool at_start, const Emit& emit) const {
  if (index == stages_.size()) {
    emit(text);
    return;
  }
  const Stage& stage = stages_[index];
  const char* first = text.data();
  auto next = [&](std::string_view piece) { Run(index + 1, piece, at_start && piece.data() == first, emit); };
  switch (stage.kind) {
    case Stage::kRegex:
      stage.regex->Split(text, [&](std::string_view piece, bool is_match) {
        if (is_match ? stage.keep_matches : stage.keep_gaps) next(piece);
      });
      break;
    case Stage::kString:
      SplitAtString(stage, text, next);
      break;
    case Stage::kDigits:
      SplitDigits(stage, text, next);
      break;
    case Stage::kMetaspace:
      SplitMetaspace(stage, text, at_start, next);
      break;
    case Stage::kPrefixSpace:
      if (text.starts_with(' '))
        next(text);
      else
        next(std::string(" ").append(text));
      break;
  }
}

void PreTokenizer::Split(std::string_view text, bool at_start, const Emit& emit) const {
  if (!text.empty()) Run(0, text, at_start, emit);
}

}  // namespace ecld
