#pragma once
// The "pre_tokenizer" of tokenizer.json: cuts a text into the words inside which BPE merges. Split, ByteLevel, Digits,
// Metaspace and Sequence. The byte alphabet of ByteLevel is not applied here: words stay bytes, and the vocabulary is
// read as bytes too (byte_level() tells).

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/tokenizer/split_regex.h"
#include "core/json.h"

namespace ecld {

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
    enum Kind { kRegex, kString, kDigits, kMetaspace, kPrefixSpace } kind;
    bool keep_matches = true, keep_gaps = true;  // kRegex, kString
    bool individual = false;                     // kDigits: each digit a word
    bool split = true;                           // kMetaspace
    enum Prepend { kAlways, kFirst, kNever } prepend = kNever;
    std::string text = {};  // kString: what is looked for; kMetaspace: what stands for a space
    std::shared_ptr<const SplitRegex> regex = nullptr;
  };
  void AddStage(const JsonView& json);
  void AddSplit(const JsonView& json);
  void AddByteLevel(const JsonView& json);
  void AddMetaspace(const JsonView& json);
  void Run(size_t stage, std::string_view text, bool at_start, const Emit& emit) const;
  template <class Next>
  static void SplitDigits(const Stage& stage, std::string_view text, Next&& next);
  template <class Next>
  static void SplitAtString(const Stage& stage, std::string_view text, Next&& next);
  template <class Next>
  static void SplitMetaspace(const Stage& stage, std::string_view text, bool at_start, Next&& next);

  std::vector<Stage> stages_;
  bool byte_level_ = false;
};

}  // namespace ecld
