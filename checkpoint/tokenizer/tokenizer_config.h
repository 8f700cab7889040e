#pragma once
// What the files beside a tokenizer say about it: tokenizer_config.json and, for names it lacks,
// special_tokens_map.json. Both are optional.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/tokenizer/added_tokens.h"

namespace ecld {

struct TokenizerConfig {
  std::optional<std::string> bos_token, eos_token;
  // The next four matter to sentencepiece models only: a tokenizer.json says the same things itself.
  bool add_bos_token = true, add_eos_token = false;
  bool legacy = true;  // the text after a special token starts a word of its own
  std::vector<AddedToken> added_tokens;
  std::string where;  // for errors
};

// THROWS Error when a file is malformed.
TokenizerConfig ReadTokenizerConfig(const std::filesystem::path& directory);

// The text of a special token, which is written as a string or as an object with "content"; nullopt when absent.
std::optional<std::string> SpecialTokenText(const JsonView& config, const std::string& key);

}  // namespace ecld
