#include "checkpoint/tokenizer/pre_tokenizer.h"

#include "checkpoint/known_fields.h"
#include "checkpoint/tokenizer/normalizer.h"
#include "core/error.h"
#include "core/unicode.h"

namespace ecld {
namespace {

// The pattern of ByteLevel with use_regex (GPT-2, Radford et al. 2019, encoder.py).
constexpr const char* kGpt2Pattern = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

// The classes of "\w+|[^\w\s]+", which the Whitespace pre-tokenizer keeps the matches of.
enum class WordKind { kWord, kSpace, kOther };

WordKind KindOf(std::string_view text, size_t at) {
  const uint32_t code = CharAt(text, at).code;
  return IsWordCharacter(code) ? WordKind::kWord : IsWhiteSpace(code) ? WordKind::kSpace : WordKind::kOther;
}

}  // namespace

PreTokenizer::PreTokenizer(const JsonView& json) { AddStage(json); }

void PreTokenizer::AddStage(const JsonView& json) {
  std::string type = json.At("type").String();
  if (byte_level_) Fail(json.Where(), "pre-tokenizer \"{}\" stands after ByteLevel, which must be the last", type);
  using Keys = std::vector<std::string>;
  auto by_character = [&](Keys keys, Stage::Behavior behavior, bool (*is_kind)(uint32_t)) {
    keys.push_back("type");
    RequireKeys(json, keys);
    stages_.push_back({.kind = Stage::kCharacter, .behavior = behavior, .is_kind = is_kind});
  };
  if (type == "Sequence") {
    RequireKeys(json, {"type", "pretokenizers"});
    JsonView stages = json.At("pretokenizers");
    for (size_t i = 0; i < stages.Size(); ++i) AddStage(stages.At(i));
  } else if (type == "Split") {
    AddSplit(json);
  } else if (type == "ByteLevel") {
    AddByteLevel(json);
  } else if (type == "Digits") {
    const bool single = json.BoolOr("individual_digits", false);
    by_character({"individual_digits"}, single ? Stage::kIsolated : Stage::kContiguous, IsNumeric);
  } else if (type == "Punctuation") {
    by_character({"behavior"}, json.Has("behavior") ? ReadBehavior(json) : Stage::kIsolated, IsPunctuation);
  } else if (type == "WhitespaceSplit") {
    by_character({}, Stage::kRemoved, IsWhiteSpace);
  } else if (type == "BertPreTokenizer") {
    by_character({}, Stage::kRemoved, IsWhiteSpace);
    by_character({}, Stage::kIsolated, IsPunctuation);
  } else if (type == "Whitespace") {
    RequireKeys(json, {"type"});
    stages_.push_back({.kind = Stage::kWords, .behavior = Stage::kRemoved, .invert = true});
  } else if (type == "CharDelimiterSplit") {
    RequireKeys(json, {"type", "delimiter"});
    stages_.push_back({.kind = Stage::kString, .behavior = Stage::kRemoved, .text = json.At("delimiter").String()});
    if (stages_.back().text.empty()) Fail(json.At("delimiter").Where(), "is empty, expected one character");
  } else if (type == "Metaspace") {
    AddMetaspace(json);
  } else {
    Fail(json.Where(),
         "pre-tokenizer \"{}\" is not supported (supported: Split, ByteLevel, Digits, Metaspace, Punctuation, "
         "Whitespace, WhitespaceSplit, CharDelimiterSplit, BertPreTokenizer, Sequence)",
         type);
  }
}

PreTokenizer::Stage::Behavior PreTokenizer::ReadBehavior(const JsonView& json) {
  const std::string name = json.At("behavior").String();
  if (name == "Isolated") return Stage::kIsolated;
  if (name == "Removed") return Stage::kRemoved;
  if (name == "MergedWithPrevious") return Stage::kMergedWithPrevious;
  if (name == "MergedWithNext") return Stage::kMergedWithNext;
  if (name == "Contiguous") return Stage::kContiguous;
  Fail(json.At("behavior").Where(),
       "\"{}\" is unknown, expected Isolated, Removed, MergedWithPrevious, MergedWithNext or Contiguous", name);
}

void PreTokenizer::AddSplit(const JsonView& json) {
  RequireKeys(json, {"type", "pattern", "behavior", "invert"});
  Stage stage{.kind = Stage::kRegex, .behavior = ReadBehavior(json), .invert = json.BoolOr("invert", false)};
  JsonView pattern = json.At("pattern");
  RequireKeys(pattern, {"String", "Regex"});
  if (pattern.Has("Regex")) {
    stage.regex = std::make_shared<SplitRegex>(pattern.At("Regex").String(), pattern.At("Regex").Where());
  } else {
    stage.kind = Stage::kString;
    stage.text = FixedPattern(pattern);
  }
  stages_.push_back(std::move(stage));
}

void PreTokenizer::AddByteLevel(const JsonView& json) {
  RequireKeys(json, {"type", "add_prefix_space", "trim_offsets", "use_regex"});
  if (json.BoolOr("add_prefix_space", true)) stages_.push_back({.kind = Stage::kPrefixSpace});
  if (json.BoolOr("use_regex", true))
    stages_.push_back({.kind = Stage::kRegex, .regex = std::make_shared<SplitRegex>(kGpt2Pattern, json.Where())});
  byte_level_ = true;
}

void PreTokenizer::AddMetaspace(const JsonView& json) {
  RequireKeys(json, {"type", "replacement", "prepend_scheme", "add_prefix_space", "split", "str_rep"});
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

// Calls piece(view, is_match) for all of text, in order.
template <class Piece>
void PreTokenizer::Cut(const Stage& stage, std::string_view text, const Piece& piece) {
  if (stage.kind == Stage::kRegex) {
    stage.regex->Split(text, piece);
    return;
  }
  size_t done = 0;
  auto match = [&](size_t begin, size_t end) {
    if (begin > done) piece(text.substr(done, begin - done), false);
    piece(text.substr(begin, end - begin), true);
    done = end;
  };
  if (stage.kind == Stage::kString) {
    for (size_t at; (at = text.find(stage.text, done)) != std::string_view::npos;) match(at, at + stage.text.size());
  } else if (stage.kind == Stage::kCharacter) {
    for (size_t i = 0; i < text.size();) {
      const Utf8Char c = CharAt(text, i);
      if (stage.is_kind(c.code)) match(i, i + c.size);
      i += c.size;
    }
  } else {
    for (size_t i = 0; i < text.size();) {
      const size_t begin = i;
      const WordKind kind = KindOf(text, i);
      while (i < text.size() && KindOf(text, i) == kind) i += CharAt(text, i).size;
      if (kind != WordKind::kSpace) match(begin, i);
    }
  }
  if (done < text.size()) piece(text.substr(done), false);
}

template <class Next>
void PreTokenizer::SplitAtMatches(const Stage& stage, std::string_view text, const Next& next) {
  if (stage.behavior == Stage::kIsolated || stage.behavior == Stage::kRemoved) {
    Cut(stage, text, [&](std::string_view piece, bool is_match) {
      if (stage.behavior == Stage::kIsolated || is_match == stage.invert) next(piece);
    });
    return;
  }
  std::string_view pending;  // what may grow still; its neighbours in text follow it in memory
  bool pending_match = false;
  Cut(stage, text, [&](std::string_view piece, bool is_match) {
    is_match = is_match != stage.invert;
    const bool joins = stage.behavior == Stage::kContiguous           ? is_match == pending_match
                       : stage.behavior == Stage::kMergedWithPrevious ? is_match && !pending_match
                                                                      : !is_match && pending_match;
    if (joins && !pending.empty()) {
      pending = {pending.data(), pending.size() + piece.size()};
    } else {
      if (!pending.empty()) next(pending);
      pending = piece;
    }
    pending_match = is_match;
  });
  if (!pending.empty()) next(pending);
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
    case Stage::kString:
    case Stage::kCharacter:
    case Stage::kWords:
      SplitAtMatches(stage, text, next);
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
