#include "checkpoint/gguf/gguf_vocabulary.h"

#include <utf8proc.h>

#include <unordered_set>

#include "checkpoint/gguf/gguf_config.h"
#include "checkpoint/gguf/gguf_tokenizer.h"
#include "core/error.h"

namespace ecld {
namespace {

using TokenSet = std::unordered_set<std::string_view>;

bool IsUtf8(std::string_view text) {
  const auto* at = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  auto left = static_cast<utf8proc_ssize_t>(text.size());
  while (left > 0) {
    utf8proc_int32_t code;
    utf8proc_ssize_t length = utf8proc_iterate(at, left, &code);
    if (length <= 0) return false;
    at += length;
    left -= length;
  }
  return true;
}

GgufVocabulary::Model ReadModel(const GgufContents& gguf) {
  const GgufValue& value = gguf.At("tokenizer.ggml.model");
  std::string model = value.String();
  if (model == "gpt2") return GgufVocabulary::Model::kByteLevelBpe;
  if (model == "llama") return GgufVocabulary::Model::kSentencePiece;
  Fail(value.Where(), "tokenizer \"{}\" is not supported; gpt2 (byte-level BPE) and llama (sentencepiece) are", model);
}

void CheckCount(const GgufValue& value, size_t found, size_t tokens) {
  if (found != tokens) Fail(value.Where(), "has {} entries for {} tokens", found, tokens);
}

void ReadTokens(const GgufContents& gguf, GgufVocabulary* vocabulary) {
  const GgufValue& value = gguf.At("tokenizer.ggml.tokens");
  std::vector<std::string_view> texts = value.Strings();
  if (texts.empty()) Fail(value.Where(), "has no token");
  for (size_t id = 0; id < texts.size(); ++id) {
    if (!IsUtf8(texts[id])) Fail(value.Where(), "token {} is not valid UTF-8", id);
    vocabulary->tokens.push_back({.text = texts[id]});
  }
  if (const GgufValue* kinds = gguf.Find("tokenizer.ggml.token_type")) {
    std::vector<int64_t> numbers = kinds->Ints();
    CheckCount(*kinds, numbers.size(), texts.size());
    for (size_t id = 0; id < numbers.size(); ++id) {
      if (numbers[id] < 1 || numbers[id] > 6)
        Fail(kinds->Where(), "token {} has type {}; 1 to 6 exist", id, numbers[id]);
      vocabulary->tokens[id].kind = static_cast<GgufVocabulary::Kind>(numbers[id]);
    }
  }
  for (GgufVocabulary::Token& token : vocabulary->tokens)
    if (token.text.empty()) token.kind = GgufVocabulary::Kind::kUnused;
  if (vocabulary->model != GgufVocabulary::Model::kSentencePiece) return;
  const GgufValue& scores_value = gguf.At("tokenizer.ggml.scores");
  std::vector<float> scores = scores_value.Floats();
  CheckCount(scores_value, scores.size(), texts.size());
  for (size_t id = 0; id < scores.size(); ++id) vocabulary->tokens[id].score = scores[id];
}

TokenSet CheckedTokenSet(const GgufContents& gguf, const GgufVocabulary& vocabulary) {
  TokenSet set;
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const GgufVocabulary::Token& token = vocabulary.tokens[id];
    if (token.kind == GgufVocabulary::Kind::kUnused) continue;
    if (!set.insert(token.text).second) {
      Fail(gguf.At("tokenizer.ggml.tokens").Where(), "token {} \"{}\" is there twice", id, token.text);
    }
  }
  return set;
}

// "Ġ t": two tokens with a space between. A token may itself begin with a space, so the first place is not looked at.
void ReadMerges(const GgufContents& gguf, const TokenSet& tokens, GgufVocabulary* vocabulary) {
  const GgufValue& value = gguf.At("tokenizer.ggml.merges");
  std::string joined;
  for (std::string_view merge : value.Strings()) {
    size_t space = merge.find(' ', 1);
    if (space == std::string_view::npos) Fail(value.Where(), "merge \"{}\" is not two tokens", merge);
    std::string_view left = merge.substr(0, space), right = merge.substr(space + 1);
    joined.assign(left).append(right);
    for (std::string_view part : {left, right, std::string_view(joined)}) {
      if (!tokens.contains(part)) Fail(value.Where(), "merge \"{}\" needs \"{}\", which is no token", merge, part);
    }
    vocabulary->merges.emplace_back(left, right);
  }
}

std::optional<int64_t> ReadId(const GgufContents& gguf, std::string_view name, const GgufVocabulary& vocabulary) {
  std::optional<int64_t> id = GgufTokenId(gguf, name);
  if (id && (*id < 0 || *id >= std::ssize(vocabulary.tokens))) {
    Fail(gguf.where, "tokenizer.ggml.{}_token_id {} is outside the {} tokens", name, *id, vocabulary.tokens.size());
  }
  return id;
}

bool BoolOr(const GgufContents& gguf, std::string_view key, bool fallback) {
  const GgufValue* value = gguf.Find(key);
  return value ? value->Bool() : fallback;
}

}  // namespace

GgufVocabulary ReadGgufVocabulary(const GgufContents& gguf) {
  GgufVocabulary vocabulary;
  vocabulary.model = ReadModel(gguf);
  ReadTokens(gguf, &vocabulary);
  TokenSet tokens = CheckedTokenSet(gguf, vocabulary);
  bool sentence_piece = vocabulary.model == GgufVocabulary::Model::kSentencePiece;
  if (!sentence_piece) {
    const GgufValue* pre = gguf.Find("tokenizer.ggml.pre");
    vocabulary.pre_tokenizer = pre ? pre->String() : kDefaultPreTokenizer;
    ReadMerges(gguf, tokens, &vocabulary);
  }
  vocabulary.bos = ReadId(gguf, "bos", vocabulary);
  vocabulary.eos = ReadId(gguf, "eos", vocabulary);
  ReadId(gguf, "eot", vocabulary);
  vocabulary.unknown = ReadId(gguf, "unknown", vocabulary);
  vocabulary.padding = ReadId(gguf, "padding", vocabulary);
  // Where the file does not say, what llama.cpp does with such files.
  bool bos_by_default = sentence_piece || FindPreTokenizer(vocabulary.pre_tokenizer, gguf.where).add_bos;
  vocabulary.add_bos = BoolOr(gguf, "tokenizer.ggml.add_bos_token", bos_by_default);
  vocabulary.add_eos = BoolOr(gguf, "tokenizer.ggml.add_eos_token", false);
  if ((vocabulary.add_bos && !vocabulary.bos) || (vocabulary.add_eos && !vocabulary.eos)) {
    Fail(gguf.where,
         "texts begin with a token (or end with one) that the file does not name: "
         "tokenizer.ggml.bos_token_id or eos_token_id is missing");
  }
  vocabulary.add_space_prefix = BoolOr(gguf, "tokenizer.ggml.add_space_prefix", true);
  if (const GgufValue* text = gguf.Find("tokenizer.chat_template")) vocabulary.chat_template = text->String();
  if (const GgufValue* names = gguf.Find("tokenizer.chat_templates")) {
    for (std::string_view name : names->Strings()) {
      std::string text = gguf.At(fmt::format("tokenizer.chat_template.{}", name)).String();
      vocabulary.named_templates.emplace_back(name, std::move(text));
    }
  }
  return vocabulary;
}

}  // namespace ecld
