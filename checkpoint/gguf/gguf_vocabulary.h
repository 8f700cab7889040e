#pragma once
// The tokenizer metadata of a GGUF file, read and checked: tokens with their kinds, merges or scores, special ids.

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "checkpoint/gguf/gguf_file.h"

namespace ecld {

// tokenizer.ggml.pre of a file that has no such key, as older converters wrote them.
inline constexpr const char* kDefaultPreTokenizer = "default";

struct GgufVocabulary {
  enum class Model { kByteLevelBpe, kSentencePiece };  // "gpt2", "llama"
  // The numbers of tokenizer.ggml.token_type. Unused: a row of the embedding that no text can produce.
  enum class Kind { kNormal = 1, kUnknown, kControl, kUserDefined, kUnused, kByte };
  struct Token {
    std::string_view text;
    Kind kind = Kind::kNormal;
    float score = 0;  // kSentencePiece: the higher, the earlier it is merged
  };

  Model model;
  std::string pre_tokenizer;  // kByteLevelBpe: tokenizer.ggml.pre, or kDefaultPreTokenizer
  std::vector<Token> tokens;  // by id
  std::vector<std::pair<std::string_view, std::string_view>> merges;  // kByteLevelBpe, first come first merged
  std::optional<int64_t> bos, eos, unknown, padding;
  bool add_bos = false, add_eos = false;
  bool add_space_prefix = true;  // kSentencePiece: a text begins as if after a space
  std::string chat_template;     // empty when the file has none
  std::vector<std::pair<std::string, std::string>> named_templates;  // further ones: name, text
};

// Views into the file. THROWS Error naming the key: unknown model or pre-tokenizer, counts that differ, a token twice
// or not UTF-8, a merge of tokens that do not exist, an id outside the vocabulary.
GgufVocabulary ReadGgufVocabulary(const GgufContents& gguf);

}  // namespace ecld
