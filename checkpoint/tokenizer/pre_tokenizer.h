#pragma once
// The "pre_tokenizer" of tokenizer.json: cuts a text into words, which the model takes one by one. Split, ByteLevel,
// Digits, Metaspace, Punctuation, Whitespace, WhitespaceSplit, CharDelimiterSplit, BertPreTokenizer, Sequence. The byte
// alphabet of ByteLevel is not applied here: words stay bytes, and the vocabulary is read as bytes too (byte_level()
// tells).

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/tokenizer/split_regex.h"
#include "core/json.h"

namespace ecld {

// How Qwen2 and its successors cut a text into words; part of their published tokenizers.
inline constexpr std::string_view kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

class PreTokenizer {
 public:
  PreTokenizer() = default;  // one word: the text
  // THROWS Error naming a component or an option that is not supported.
  explicit PreTokenizer(const JsonView& json);

  bool byte_level() const { return byte_level_; }

  // Calls emit for each word of text, in order; the view holds during the call only.
  // at_start: text starts where the whole input starts (some models mark that place).
  // THROWS Error when the pattern cannot be matched (SplitRegex::Split).
  using Emit = std::function<void(std::string_view word)>;
  void Split(std::string_view text, bool at_start, const Emit& emit) const;

 private:
  struct Stage {
    // What is a match: of a pattern, a fixed string, one character of a kind, a run of word characters or of others.
    // Metaspace and the space before a text are no cuts by matches.
    enum Kind { kRegex, kString, kCharacter, kWords, kMetaspace, kPrefixSpace } kind;
    // What becomes of matches and of what lies between them (invert: the other way round).
    enum Behavior { kIsolated, kRemoved, kMergedWithPrevious, kMergedWithNext, kContiguous } behavior = kIsolated;
    bool invert = false;
    bool split = true;  // kMetaspace
    enum Prepend { kAlways, kFirst, kNever } prepend = kNever;
    std::string text = {};  // kString: what is looked for; kMetaspace: what stands for a space
    std::shared_ptr<const SplitRegex> regex = nullptr;
    bool (*is_kind)(uint32_t code) = nullptr;  // kCharacter
  };
  void AddStage(const JsonView& json);
  void AddSplit(const JsonView& json);
  void AddByteLevel(const JsonView& json);
  void AddMetaspace(const JsonView& json);
  static Stage::Behavior ReadBehavior(const JsonView& json);
  void Run(size_t stage, std::string_view text, bool at_start, const Emit& emit) const;
  template <class Piece>
  static void Cut(const Stage& stage, std::string_view text, const Piece& piece);
  template <class Next>
  static void SplitAtMatches(const Stage& stage, std::string_view text, const Next& next);
  template <class Next>
  static void SplitMetaspace(const Stage& stage, std::string_view text, bool at_start, Next&& next);

  std::vector<Stage> stages_;
  bool byte_level_ = false;
};

}  // namespace ecld
