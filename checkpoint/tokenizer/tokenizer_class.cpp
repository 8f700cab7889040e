#include "checkpoint/tokenizer/tokenizer_class.h"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "checkpoint/tokenizer/pre_tokenizer.h"
#include "core/error.h"
#include "core/log.h"

namespace ecld {
namespace {

constexpr std::string_view kSpaceMark = "\xe2\x96\x81";  // U+2581, sentencepiece's visible space

enum class Class { kAsFile, kLlama, kQwen2, kGpt2 };

std::string WithoutFast(const std::string& name) {
  return name.ends_with("Fast") ? name.substr(0, name.size() - 4) : name;
}

Class ClassOfName(const std::string& name) {
  if (name == "LlamaTokenizer") return Class::kLlama;
  if (name == "Qwen2Tokenizer") return Class::kQwen2;
  if (name == "GPT2Tokenizer") return Class::kGpt2;
  return Class::kAsFile;  // PreTrainedTokenizerFast, TokenizersBackend, and all others, of which the user is told
}

// Whether transformers, too, takes the file as it stands for this class.
bool IsGeneric(const std::string& name) {
  return name.empty() || name == "PreTrainedTokenizer" || name == "TokenizersBackend" ||
         ClassOfName(name) != Class::kAsFile;
}

const char* NameOf(Class kind) {
  return kind == Class::kLlama ? "LlamaTokenizer" : kind == Class::kQwen2 ? "Qwen2Tokenizer" : "GPT2Tokenizer";
}

bool HasByteLevel(const Json& json) {
  if (json.is_string()) return json == "ByteLevel";
  return json.is_structured() && std::any_of(json.begin(), json.end(), HasByteLevel);
}

// AutoTokenizer's choice: a class that the model type brings is stronger than the named one only where transformers
// knows that published files name the wrong one.
Class ChooseClass(const TokenizerConfig& config, const Json& tokenizer) {
  const std::string named = WithoutFast(config.tokenizer_class);
  const bool is_qwen = config.model_type == "qwen2" || config.model_type == "qwen3";
  if (named.empty()) return is_qwen ? Class::kQwen2 : Class::kAsFile;
  if (!config.has_own_code) {
    if (named == "LlamaTokenizer" && config.model_type != "qwen2" && HasByteLevel(tokenizer)) return Class::kAsFile;
    if (config.model_type == "mistral") return Class::kAsFile;
    if (config.model_type == "qwen2") return Class::kQwen2;
  }
  return ClassOfName(named);
}

Json Text(std::string_view text) { return {{"String", text}}; }

Json ByteLevel(bool add_prefix_space, bool use_regex) {
  return {
      {"type", "ByteLevel"}, {"add_prefix_space", add_prefix_space}, {"trim_offsets", true}, {"use_regex", use_regex}};
}

void BuildLlama(const TokenizerConfig& config, Json* json) {
  const bool prefix = config.add_prefix_space.value_or(true);
  const char* scheme = !prefix ? "never" : config.legacy.value_or(false) ? "always" : "first";
  (*json)["normalizer"] = nullptr;
  (*json)["pre_tokenizer"] = {
      {"type", "Metaspace"}, {"replacement", kSpaceMark}, {"prepend_scheme", scheme}, {"split", false}};
  Json steps = {{{"type", "Replace"}, {"pattern", Text(kSpaceMark)}, {"content", " "}},
                {{"type", "ByteFallback"}},
                {{"type", "Fuse"}}};
  if (prefix) steps.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  (*json)["decoder"] = {{"type", "Sequence"}, {"decoders", steps}};
}

void BuildByteLevel(const TokenizerConfig& config, bool is_qwen, Json* json) {
  const bool prefix = config.add_prefix_space.value_or(false);
  (*json)["normalizer"] = is_qwen ? Json{{"type", "NFC"}} : Json(nullptr);
  if (is_qwen) {
    const Json split = {
        {"type", "Split"}, {"pattern", {{"Regex", kQwen2Pattern}}}, {"behavior", "Isolated"}, {"invert", false}};
    (*json)["pre_tokenizer"] = {{"type", "Sequence"},
                                {"pretokenizers", Json::array({split, ByteLevel(prefix, false)})}};
  } else {
    (*json)["pre_tokenizer"] = ByteLevel(prefix, true);
  }
  (*json)["decoder"] = ByteLevel(true, true);
}

// Everything but vocabulary, merges, post-processor and added tokens.
void Build(Class kind, const TokenizerConfig& config, Json* json) {
  Json model = {{"type", "BPE"}, {"fuse_unk", kind == Class::kLlama}, {"byte_fallback", kind == Class::kLlama}};
  for (const char* key : {"vocab", "merges"})
    if ((*json)["model"].contains(key)) model[key] = (*json)["model"][key];
  (*json)["model"] = std::move(model);
  if (kind == Class::kLlama)
    BuildLlama(config, json);
  else
    BuildByteLevel(config, kind == Class::kQwen2, json);
}

// The tokens with roles of which no file says anything.
std::vector<TokenizerConfig::Named> DefaultTokens(Class kind, const std::string& where) {
  auto token = [&](const char* role, const char* content) {
    return TokenizerConfig::Named{role, AddedToken{.id = kNewTokenId, .content = content, .special = true}, where};
  };
  if (kind == Class::kLlama)
    return {token("bos_token", "<s>"), token("eos_token", "</s>"), token("unk_token", "<unk>")};
  const char* end = "<|endoftext|>";
  if (kind == Class::kQwen2) return {token("eos_token", end), token("unk_token", end), token("pad_token", end)};
  if (kind == Class::kGpt2) return {token("bos_token", end), token("eos_token", end), token("unk_token", end)};
  return {};
}

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

void AddTokens(Class kind, const TokenizerConfig& config, const std::string& where, JsonTokenizerFile* file) {
  AddedList list(*file, config, where);
  std::vector<TokenizerConfig::Named> named = config.named;
  for (TokenizerConfig::Named& entry : DefaultTokens(kind, config.where))
    if (!config.Find(entry.role)) named.push_back(std::move(entry));
  SortByRole(&named);
  auto add = [&](AddedToken token, const std::string& told) {
    token.special = token.special || std::any_of(named.begin(), named.end(), [&](const auto& entry) {
                      return entry.token && entry.token->content == token.content;
                    });
    list.Add(std::move(token), told);
  };
  const std::vector<AddedToken> own = FileTokens(JsonView(file->json, where), *file);
  if (kind == Class::kAsFile)
    for (const AddedToken& token : own) list.Add(token, where);
  // Then what the files beside it tell, by id; without a decoder the file's own count among them.
  std::map<int32_t, std::pair<const AddedToken*, const std::string*>> told;
  for (const AddedToken& token : config.added_tokens) told[token.id] = {&token, &config.added_where};
  if (!config.has_added_tokens_decoder)
    for (const AddedToken& token : own) told[token.id] = {&token, &where};
  for (const auto& [id, entry] : told) add(*entry.first, *entry.second);
  for (const auto& entry : named)
    if (entry.token && !list.Has(entry.token->content)) add(*entry.token, entry.where);
  for (const AddedToken& token : config.extra_tokens)
    if (!list.Has(token.content)) add(token, config.extra_where);
  file->json["added_tokens"] = list.ToJson();
}

}  // namespace

void ApplyTokenizerConfig(const TokenizerConfig& config, const std::string& where, JsonTokenizerFile* file) {
  const JsonView model = JsonView(file->json, where).At("model");
  Class kind = ChooseClass(config, file->json);
  if (const std::string name = WithoutFast(config.tokenizer_class); kind == Class::kAsFile && !IsGeneric(name))
    WarnOnce(where,
             fmt::format("is taken as it stands; the {} of tokenizer_config.json may have steps of its own", name));
  const bool fits = model.StringOr("type", "BPE") == "BPE" && (kind == Class::kLlama) != HasByteLevel(file->json);
  if (kind != Class::kAsFile && !fits) {
    LogWarning("{}: transformers would build a {} of this file, which was made for another; it is taken as it stands",
               where, NameOf(kind));
    kind = Class::kAsFile;
  }
  if (kind != Class::kAsFile) {
    const Json before = file->json;
    Build(kind, config, &file->json);
    for (const char* part : {"normalizer", "pre_tokenizer"})
      if (before.value(part, Json()) != file->json[part])
        LogInfo("{}: its {} is replaced by that of transformers' {}", where, part, NameOf(kind));
  }
  AddTokens(kind, config, where, file);
  file->split_special_tokens = config.split_special_tokens;
}

}  // namespace ecld
