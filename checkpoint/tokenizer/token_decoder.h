#pragma once
// The "decoder" of tokenizer.json, in two parts: what bytes each token stands for, computed once for the vocabulary,
// and what is cut from both ends of a whole text. ByteLevel; Metaspace; Sequence of Replace, ByteFallback, Fuse, Strip.

#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"

namespace ecld {

class TokenDecoder {
 public:
  // THROWS Error naming a component that is not supported, or a null decoder.
  explicit TokenDecoder(const JsonView& json);

  // The bytes of one token of the vocabulary, given its text in the file.
  std::string Bytes(std::string_view token) const;

  // Cuts what the tokenizer put around the text when encoding.
  void Strip(std::string& text) const;

  // Whether the first token of a text loses all its spaces: so Metaspace takes off the one it put there.
  bool first_without_spaces() const { return first_without_spaces_; }

 private:
  struct Replace {
    std::string pattern, content;
  };
  void AddStep(const JsonView& json);

  std::vector<Replace> replaces_;
  bool byte_level_ = false;
  bool byte_fallback_ = false;  // "<0x41>" is one byte
  bool fused_ = false;
  bool first_without_spaces_ = false;
  std::string strip_;  // the character cut, up to so many times
  int64_t strip_start_ = 0, strip_stop_ = 0;
};

}  // namespace ecld
