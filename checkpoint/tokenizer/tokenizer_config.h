#pragma once
// What the files beside a tokenizer say about it: tokenizer_config.json; without its added_tokens_decoder also
// special_tokens_map.json, which then overrules it, and added_tokens.json, as transformers has it; and of config.json
// what decides how the tokenizer is built. All are optional.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/tokenizer/added_tokens.h"

namespace ecld {

struct TokenizerConfig {
  // A token with a role ("bos_token"). Where a file says null there is none; a role of which no file says anything may
  // have a default.
  struct Named {
    std::string role;
    std::optional<AddedToken> token;
    std::string where;  // the file that says so
  };
  std::vector<Named> named;               // the roles that every tokenizer has first, in transformers' order
  std::vector<AddedToken> extra_tokens;   // extra_special_tokens, additional_special_tokens
  std::vector<AddedToken> added_tokens;   // added_tokens_decoder or added_tokens.json, by id
  std::string extra_where, added_where;   // the files that the two are from
  bool has_added_tokens_decoder = false;  // which tells all tokens: those of tokenizer.json are not asked
  // Of the next three, what a file says matters to tokenizers that transformers builds itself, from a tokenizer.model
  // or by tokenizer_class: a tokenizer.json says the same things.
  std::optional<bool> add_bos_token, add_eos_token;
  std::optional<bool> legacy;               // the text after a special token starts a word of its own
  std::optional<bool> add_prefix_space;     // the text starts a word of its own
  bool split_special_tokens = false;        // special tokens written out in a text are text
  std::string tokenizer_class;              // tokenizer_config.json's, else config.json's
  std::string model_type;                   // of config.json
  bool has_own_code = false;                // auto_map names a tokenizer class of the repository
  std::optional<int64_t> model_vocab_size;  // of config.json
  std::string where;                        // for errors

  // nullptr where no file says anything of the role.
  const Named* Find(std::string_view role) const;
  // The text of the token with that role, if there is one.
  std::optional<std::string> Text(std::string_view role) const;
  // All of them, {"bos_token": "<s>", ...}.
  Json Texts() const;
};

// Brings tokens with roles in the order above; those with roles of a model's own stay as they are, at the end.
void SortByRole(std::vector<TokenizerConfig::Named>* named);

// THROWS Error when a file is malformed.
TokenizerConfig ReadTokenizerConfig(const std::filesystem::path& directory);

}  // namespace ecld
