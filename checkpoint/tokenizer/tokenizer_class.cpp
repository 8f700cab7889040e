#include "checkpoint/tokenizer/tokenizer_class.h"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "checkpoint/tokenizer/tokenizer_steps.h"
#include "core/error.h"
#include "core/log.h"

namespace ecld {
namespace {

// The added tokens as they come to be, one after the other.
class AddedList {
 public:
  AddedList(const JsonTokenizerFile& file, const TokenizerConfig& config, const std::string& where)
      : config_(config), where_(where), size_(static_cast<int64_t>(file.vocab.size())) {
    for (const auto& [token, id] : file.vocab) vocabulary_.emplace(token, id);
    for (const auto& [token, id] : file.vocab) taken_.insert(id);
  }

  bool Has(const std::string& content) const { return place_.contains(content); }
  // Whether this very token is there, flags included.
  bool Has(const AddedToken& token) const { return Has(token.content) && tokens_[place_.at(token.content)] == token; }

  // told: the file that the token is from.
  void Add(AddedToken token, const std::string& told) {
    if (token.content.empty() || Has(token)) return;
    const int32_t wished = token.id;
    if (const auto place = place_.find(token.content); place != place_.end()) {
      AddedToken& old = tokens_[place->second];
      token.id = old.id;
      token.special = token.special || old.special;  // once special, always left out when decoding
      old = token;
    } else {
      token.id = IdFor(token, told);
      place_.emplace(token.content, tokens_.size());
      tokens_.push_back(token);
      last_ = std::max(last_, int64_t{token.id});
    }
    if (wished != kNewTokenId && wished != token.id)
      LogWarning("{}: says that \"{}\" has id {}; as in transformers, it has {}", told, token.content, wished,
                 token.id);
  }

  Json ToJson() const {
    Json json = Json::array();
    for (const AddedToken& token : tokens_)
      json.push_back({{"id", token.id},
                      {"content", token.content},
                      {"single_word", token.single_word},
                      {"lstrip", token.lstrip},
                      {"rstrip", token.rstrip},
                      {"normalized", token.normalized},
                      {"special", token.special}});
    return json;
  }

 private:
  int32_t IdFor(const AddedToken& token, const std::string& told) {
    if (const auto known = vocabulary_.find(token.content); known != vocabulary_.end()) return known->second;
    const int64_t id = last_ >= size_ ? last_ + 1 : size_;
    if (taken_.contains(id))
      Fail(told, "adds \"{}\", which would get id {}; but that is another token of {}, whose vocabulary has holes",
           token.content, id, where_);
    if (config_.model_vocab_size && id >= *config_.model_vocab_size)
      LogWarning("{}: the token \"{}\" gets id {}, for which the model (of {} ids) has no embedding", told,
                 token.content, id, *config_.model_vocab_size);
    return CheckedTokenId(id, told);
  }

  const TokenizerConfig& config_;
  const std::string& where_;
  int64_t size_;       // tokens of the vocabulary, wherever their ids end
  int64_t last_ = -1;  // largest id of an added token
  std::unordered_map<std::string, int32_t> vocabulary_;
  std::unordered_set<int64_t> taken_;
  std::vector<AddedToken> tokens_;
  std::unordered_map<std::string, size_t> place_;
};

// THROWS Error where the file contradicts itself.
std::vector<AddedToken> FileTokens(const JsonView& json, const JsonTokenizerFile& file) {
  std::vector<AddedToken> tokens;
  if (!json.Has("added_tokens")) return tokens;
  std::unordered_map<std::string_view, int32_t> ids;
  std::unordered_set<int32_t> in_vocabulary, added;
  for (const auto& [token, id] : file.vocab) {
    ids.emplace(token, id);
    in_vocabulary.insert(id);
  }
  const JsonView list = json.At("added_tokens");
  for (size_t i = 0; i < list.Size(); ++i) {
    const JsonView entry = list.At(i);
    tokens.push_back(ReadAddedToken(entry, entry.At("id").Int()));
    const AddedToken& token = tokens.back();
    if (!added.insert(token.id).second) Fail(entry.Where(), "id {} is given to two added tokens", token.id);
    const auto known = ids.find(token.content);
    if (known != ids.end() && known->second != token.id)
      Fail(entry.Where(), "\"{}\" has id {}, but {} in model.vocab", token.content, token.id, known->second);
    if (known == ids.end() && in_vocabulary.contains(token.id))
      Fail(entry.Where(), "id {} is given to \"{}\", but model.vocab gives it to another token", token.id,
           token.content);
  }
  return tokens;
}

void AddTokens(TokenizerClass kind, const TokenizerConfig& config, const std::string& where, JsonTokenizerFile* file) {
  AddedList list(*file, config, where);
  auto add = [&](AddedToken token, const std::string& told) {
    token.special = token.special || std::any_of(config.named.begin(), config.named.end(), [&](const auto& entry) {
                      return entry.token && entry.token->content == token.content;
                    });
    list.Add(std::move(token), told);
  };
  const std::vector<AddedToken> own = FileTokens(JsonView(file->json, where), *file);
  if (kind == TokenizerClass::kAsFile)
    for (const AddedToken& token : own) list.Add(token, where);
  // Then what the files beside it tell, by id; without a decoder the file's own count among them.
  std::map<int32_t, std::pair<const AddedToken*, const std::string*>> told;
  for (const AddedToken& token : config.added_tokens) told[token.id] = {&token, &config.added_where};
  if (!config.has_added_tokens_decoder)
    for (const AddedToken& token : own) told[token.id] = {&token, &where};
  for (const auto& [id, entry] : told) add(*entry.first, *entry.second);
  for (const auto& entry : config.named)
    if (entry.token && !list.Has(entry.token->content)) add(*entry.token, entry.where);
  for (const AddedToken& token : config.extra_tokens)
    if (!list.Has(token.content)) add(token, config.extra_where);
  file->json["added_tokens"] = list.ToJson();
}

// A class hands its roles on in its own order, then those that only the files name.
void NameAsClass(TokenizerClass kind, TokenizerConfig* config) {
  std::vector<TokenizerConfig::Named> named = DefaultTokens(kind, config->where);
  for (TokenizerConfig::Named& entry : config->named) {
    const auto own = std::ranges::find(named, entry.role, &TokenizerConfig::Named::role);
    if (own == named.end())
      named.push_back(std::move(entry));
    else
      *own = std::move(entry);
  }
  SortByRole(&named);
  config->named = std::move(named);
}

}  // namespace

void ApplyTokenizerConfig(const std::string& where, TokenizerConfig* config, JsonTokenizerFile* file) {
  const TokenizerClass kind = ChooseTokenizerClass(*config, file->json, where);
  NameAsClass(kind, config);
  AddTokens(kind, *config, where, file);
  if (kind != TokenizerClass::kAsFile) {
    const Json before = file->json;
    BuildSteps(kind, *config, file);
    for (const char* part : {"normalizer", "pre_tokenizer", "post_processor"})
      if (before.value(part, Json()) != file->json.value(part, Json()))
        LogInfo("{}: its {} is replaced by that of transformers' {}", where, part, NameOf(kind));
  }
  file->split_special_tokens = config->split_special_tokens;
}

}  // namespace ecld
