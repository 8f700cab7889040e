#pragma once
// The parts of a tokenizer.json, built and checked against each other; JsonTokenizer runs them.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/tokenizer/added_tokens.h"
#include "checkpoint/tokenizer/bpe.h"
#include "checkpoint/tokenizer/json_tokenizer_file.h"
#include "checkpoint/tokenizer/normalizer.h"
#include "checkpoint/tokenizer/pre_tokenizer.h"
#include "checkpoint/tokenizer/token_decoder.h"
#include "checkpoint/tokenizer/unigram.h"

namespace ecld {

struct JsonTokenizerModel {
  // THROWS Error for a part that is malformed, contradicts another, or is not supported.
  JsonTokenizerModel(const JsonTokenizerFile& file, const std::string& where);

  // What a token of the file is in `vocabulary`; nullopt for one outside the alphabet of a byte-level model.
  std::optional<std::string> ModelBytes(std::string_view token) const;

  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  TokenDecoder decoder;
  bool is_unigram = false;  // else BPE
  BpeOptions bpe_options;
  UnigramOptions unigram_options;
  Vocabulary vocabulary;  // what words are made of: bytes in byte-level models, the text in the file in others
  Vocabulary decoded;     // what each id becomes when decoded; added tokens too
  std::vector<AddedToken> added_tokens;
  AddedTokenMatcher raw_matcher, normalized_matcher;
  std::vector<bool> special;                     // by id
  std::vector<int32_t> before_text, after_text;  // what the post-processor puts around a text

 private:
  void ReadBpeOptions(const JsonView& model);
  void ReadUnigramOptions(const JsonView& model, const JsonTokenizerFile& file);
  void AddVocabulary(const JsonTokenizerFile& file, const std::string& where);
  void ReadAddedTokens(const JsonView& json, bool split_special);
  void Decoded(const JsonTokenizerFile& file);
  void ReadPostProcessor(const JsonView& json);
  void ReadTemplate(const JsonView& json);
  int32_t KnownId(const JsonView& id) const;
};

// THROWS Error for a merge of or into a token that is not in the vocabulary.
MergeTable ReadMerges(const JsonTokenizerFile& file, const JsonTokenizerModel& model, const std::string& where);

}  // namespace ecld
