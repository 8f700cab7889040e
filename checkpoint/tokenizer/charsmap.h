#pragma once
// The "precompiled_charsmap" of sentencepiece: a table of strings and what becomes of them (NFKC and more), as a trie
// in a double array (Aoe 1989) and the replacements, each ended by a zero byte. Applied as Hugging Face tokenizers do:
// a grapheme of less than six bytes as a whole, else character by character, and of several entries that match the
// shortest. That is not sentencepiece's own rule (the longest), but what a tokenizer.json with this component means.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ecld {

class Charsmap {
 public:
  // base64: as tokenizer.json has it. THROWS Error naming where for what is no such table.
  Charsmap(std::string_view base64, const std::string& where);

  std::string Apply(std::string_view text) const;

 private:
  // What becomes of piece; false where no entry matches.
  bool Find(std::string_view piece, std::string_view* replacement) const;

  std::vector<uint32_t> trie_;
  std::string replacements_;
};

}  // namespace ecld
