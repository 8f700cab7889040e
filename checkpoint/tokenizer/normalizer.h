#pragma once
// The "normalizer" of tokenizer.json: NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, Strip, Nmt, Prepend, Replace,
// Precompiled (charsmap.h) and Sequence. Bytes that are not valid UTF-8 pass through unchanged.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/tokenizer/charsmap.h"
#include "checkpoint/tokenizer/split_regex.h"
#include "core/json.h"

namespace ecld {

class Normalizer {
 public:
  Normalizer() = default;  // changes nothing
  // THROWS Error naming a component that is not supported.
  explicit Normalizer(const JsonView& json);

  bool empty() const { return steps_.empty(); }
  // Returns text itself, or a view of storage when something changed.
  std::string_view Apply(std::string_view text, std::string& storage) const;

 private:
  struct Step {
    enum Kind { kNfc, kNfd, kNfkc, kNfkd, kLowercase, kStripAccents, kStrip, kNmt, kPrepend, kReplace, kCharsmap } kind;
    std::string pattern = {}, content = {};
    bool left = false, right = false;                   // kStrip
    std::shared_ptr<const SplitRegex> regex = nullptr;  // kReplace, in place of pattern
    std::shared_ptr<const Charsmap> charsmap = nullptr;
  };
  void AddStep(const JsonView& json);
  void AddReplace(const JsonView& json);
  static std::string Run(const Step& step, std::string_view text);

  std::vector<Step> steps_;
};

// Unicode normalization form C. Returns text itself where it is in that form already.
std::string_view ToNfc(std::string_view text, std::string& storage);

// The fixed string of {"String": "..."}. THROWS Error for a Regex, or an empty string.
std::string FixedPattern(const JsonView& pattern);

// Copies text with every occurrence of pattern replaced. REQUIRES a pattern that is not empty.
std::string ReplaceAll(std::string_view text, std::string_view pattern, std::string_view content);

}  // namespace ecld
