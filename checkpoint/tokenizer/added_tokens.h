#pragma once
// Tokens which are found in a text before anything else happens to it: special tokens ("<|im_start|>") and others that
// were added to a vocabulary. Leftmost match first, the longest at one place.

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/json.h"

namespace ecld {

// The id of a token that has none yet.
constexpr int32_t kNewTokenId = -1;

struct AddedToken {
  int32_t id = 0;
  std::string content;
  bool single_word = false;  // not inside a word
  bool lstrip = false;       // takes the white space before it
  bool rstrip = false;       // takes the white space after it
  bool normalized = false;   // looked for in the normalized text, by its normalized content
  bool special = false;      // left out when decoding for people

  // Says the same of the same text; ids are not compared.
  bool operator==(const AddedToken& other) const {
    return content == other.content && single_word == other.single_word && lstrip == other.lstrip &&
           rstrip == other.rstrip && normalized == other.normalized && special == other.special;
  }
};

// One element of "added_tokens" (tokenizer.json) or of "added_tokens_decoder" (tokenizer_config.json, which holds the
// id in the key). special_if_absent: what a missing "special" means. THROWS Error.
AddedToken ReadAddedToken(const JsonView& json, int64_t id, bool special_if_absent = false);

// Ids above this are refused: a table of all ids must stay small beside the model.
constexpr int64_t kMaxTokenId = (1 << 22) - 1;

// THROWS Error naming where unless 0 <= id <= kMaxTokenId.
int32_t CheckedTokenId(int64_t id, std::string_view where);

class AddedTokenMatcher {
 public:
  // pattern: what is looked for; differs from token.content only for normalized tokens. An empty one never matches.
  void Add(std::string_view pattern, const AddedToken& token);

  bool empty() const { return tokens_.empty(); }

  // Calls emit(piece, nullptr) for text between tokens and emit(piece, token) for tokens, in order.
  using Emit = std::function<void(std::string_view piece, const AddedToken* token)>;
  void Split(std::string_view text, const Emit& emit) const;

 private:
  struct Match {
    size_t end = 0;
    const AddedToken* token = nullptr;
  };
  Match LongestAt(std::string_view text, size_t at) const;

  std::vector<AddedToken> tokens_;
  std::array<bool, 256> starts_{};                   // bytes with which some pattern starts
  std::unordered_map<uint64_t, uint32_t> children_;  // trie: (node << 8 | byte) -> node; node 0 is the root
  std::vector<int32_t> ends_ = {-1};                 // by node: index into tokens_ of the pattern that ends there
};

}  // namespace ecld
