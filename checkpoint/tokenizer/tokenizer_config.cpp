#include "checkpoint/tokenizer/tokenizer_config.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "core/error.h"
#include "core/files.h"
#include "core/log.h"

namespace ecld {
namespace {

// The roles that every tokenizer of transformers has, in its order: new tokens get their ids in it.
constexpr std::array kRoles = {"bos_token", "eos_token", "unk_token", "sep_token",
                               "pad_token", "cls_token", "mask_token"};

bool IsRole(std::string_view key) { return std::find(kRoles.begin(), kRoles.end(), key) != kRoles.end(); }

// A special token, written as its text or as an object with flags.
AddedToken ReadSpecialToken(const JsonView& json) {
  AddedToken token;
  if (json.json().is_object()) {
    token = ReadAddedToken(json, 0, true);
  } else {
    token.content = json.String();
    token.special = true;
  }
  token.id = kNewTokenId;
  return token;
}

std::vector<AddedToken> ReadSpecialTokens(const JsonView& json) {
  std::vector<AddedToken> tokens;
  for (size_t i = 0; i < json.Size(); ++i) tokens.push_back(ReadSpecialToken(json.At(i)));
  return tokens;
}

std::vector<AddedToken> ReadAddedTokensDecoder(const JsonView& json) {
  std::vector<AddedToken> tokens;
  for (const std::string& key : json.Keys()) {
    int64_t id = -1;
    auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size()) Fail(json.Where(), "key \"{}\" is not a token id", key);
    tokens.push_back(ReadAddedToken(json.At(key), id));
  }
  return tokens;
}

class Reader {
 public:
  explicit Reader(const std::filesystem::path& directory) : directory_(directory) {
    config_.where = (directory / "tokenizer_config.json").string();
  }

  TokenizerConfig Read() {
    ReadFile("tokenizer_config.json", [this](const JsonView& json) { TokenizerConfigJson(json); });
    if (!config_.has_added_tokens_decoder) {
      ReadFile("special_tokens_map.json", [this](const JsonView& json) { SpecialTokensMap(json); });
      ReadFile("added_tokens.json", [this](const JsonView& json) { AddedTokensJson(json); });
    }
    ReadFile("config.json", [this](const JsonView& json) { ConfigJson(json); });
    SortAll();
    return std::move(config_);
  }

 private:
  template <class Use>
  void ReadFile(const char* name, const Use& use) {
    const std::filesystem::path path = directory_ / name;
    if (!std::filesystem::exists(path)) return;
    // config.json is read as checkpoint/config.cpp reads it: Python writes numbers that JSON does not have.
    const Json json = ParseJson(QuotePythonNumbers(ReadTextFile(path)), path.string());
    use(JsonView(json, path.string()));
  }

  static std::optional<bool> OptionalBool(const JsonView& json, const char* key) {
    return json.Has(key) ? std::optional(json.At(key).Bool()) : std::nullopt;
  }

  void TokenizerConfigJson(const JsonView& json) {
    for (const std::string& key : json.Keys()) NamedToken(json, key);
    const char* extra = NonEmpty(json, "extra_special_tokens") ? "extra_special_tokens" : "additional_special_tokens";
    if (json.Has(extra)) Extra(json.At(extra));
    config_.add_bos_token = OptionalBool(json, "add_bos_token");
    config_.add_eos_token = OptionalBool(json, "add_eos_token");
    config_.legacy = OptionalBool(json, "legacy");
    config_.add_prefix_space = OptionalBool(json, "add_prefix_space");
    config_.split_special_tokens = json.BoolOr("split_special_tokens", false);
    config_.tokenizer_class = json.StringOr("tokenizer_class", "");
    if (json.Has("auto_map")) {
      const Json& map = json.At("auto_map").json();
      config_.has_own_code = map.is_array() || map.contains("AutoTokenizer");
    }
    config_.added_where = json.Where();
    config_.has_added_tokens_decoder = json.json().contains("added_tokens_decoder");
    if (json.Has("added_tokens_decoder"))
      config_.added_tokens = ReadAddedTokensDecoder(json.At("added_tokens_decoder"));
  }

  static bool NonEmpty(const JsonView& json, const char* key) { return json.Has(key) && !json.At(key).json().empty(); }

  // Roles of a model's own ("image_token") count where they hold a token.
  void NamedToken(const JsonView& json, const std::string& key) {
    const Json& value = json.json()[key];
    const bool own = key.ends_with("_token") && (value.is_string() || value.contains("content"));
    if (!IsRole(key) && !own) return;
    Put(key, value.is_null() ? std::nullopt : std::optional(ReadSpecialToken(json.At(key))), json.Where());
  }

  // A list, or tokens by role.
  void Extra(const JsonView& json) {
    config_.extra_where = json.Where();
    if (json.json().is_array()) {
      config_.extra_tokens = ReadSpecialTokens(json);
      return;
    }
    for (const std::string& role : json.Keys()) Put(role, ReadSpecialToken(json.At(role)), json.Where());
  }

  void Put(const std::string& role, std::optional<AddedToken> token, const std::string& where) {
    for (TokenizerConfig::Named& named : config_.named) {
      if (named.role == role) {
        named = {role, std::move(token), where};
        return;
      }
    }
    config_.named.push_back({role, std::move(token), where});
  }

  void SpecialTokensMap(const JsonView& json) {
    for (const std::string& key : json.Keys()) {
      if (!IsRole(key)) continue;
      const auto before = config_.Text(key);
      NamedToken(json, key);
      if (before && before != config_.Text(key))
        WarnOnce(json.Where(), fmt::format("{} is \"{}\" here and \"{}\" in tokenizer_config.json; this one counts",
                                           key, config_.Text(key).value_or("null"), *before));
    }
    if (NonEmpty(json, "extra_special_tokens") && json.At("extra_special_tokens").json().is_object())
      Extra(json.At("extra_special_tokens"));
    for (const char* key : {"extra_special_tokens", "additional_special_tokens"}) {
      // The old name adds nothing where the file above has a list already.
      if (!json.Has(key) || json.At(key).json().is_object()) continue;
      if (key == std::string_view("additional_special_tokens") && !config_.extra_tokens.empty()) continue;
      config_.extra_where = json.At(key).Where();
      for (AddedToken& token : ReadSpecialTokens(json.At(key))) {
        auto& all = config_.extra_tokens;
        if (std::find(all.begin(), all.end(), token) == all.end()) all.push_back(std::move(token));
      }
    }
  }

  // token -> id; special are those that have a role.
  void AddedTokensJson(const JsonView& json) {
    config_.added_where = json.Where();
    for (const std::string& content : json.Keys()) {
      AddedToken token;
      token.content = content;
      token.id = CheckedTokenId(json.At(content).Int(), json.At(content).Where());
      auto same = [&](const AddedToken& other) { return other.content == content; };
      token.special = std::any_of(config_.extra_tokens.begin(), config_.extra_tokens.end(), same) ||
                      std::any_of(config_.named.begin(), config_.named.end(),
                                  [&](const auto& named) { return named.token && same(*named.token); });
      token.normalized = !token.special;
      config_.added_tokens.push_back(std::move(token));
    }
  }

  void ConfigJson(const JsonView& json) {
    config_.model_type = json.StringOr("model_type", "");
    if (config_.tokenizer_class.empty() && json.Has("tokenizer_class"))
      config_.tokenizer_class = json.At("tokenizer_class").String();
    if (json.Has("vocab_size")) config_.model_vocab_size = json.At("vocab_size").Int();
  }

  void SortAll() {
    std::stable_sort(config_.added_tokens.begin(), config_.added_tokens.end(),
                     [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
    SortByRole(&config_.named);
    // A role is held by the token as added, flags included.
    for (TokenizerConfig::Named& named : config_.named) {
      for (const AddedToken& token : config_.added_tokens) {
        if (named.token && named.token->content == token.content) {
          named.token = token;
          named.token->id = kNewTokenId;
        }
      }
    }
  }

  const std::filesystem::path& directory_;
  TokenizerConfig config_;
};

}  // namespace

const TokenizerConfig::Named* TokenizerConfig::Find(std::string_view role) const {
  for (const Named& entry : named)
    if (entry.role == role) return &entry;
  return nullptr;
}

std::optional<std::string> TokenizerConfig::Text(std::string_view role) const {
  const Named* entry = Find(role);
  return entry && entry->token ? std::optional(entry->token->content) : std::nullopt;
}

Json TokenizerConfig::Texts() const {
  Json texts = Json::object();
  for (const Named& entry : named)
    if (entry.token) texts[entry.role] = entry.token->content;
  return texts;
}

void SortByRole(std::vector<TokenizerConfig::Named>* named) {
  auto place = [](const TokenizerConfig::Named& entry) {
    return std::find(kRoles.begin(), kRoles.end(), entry.role) - kRoles.begin();
  };
  std::stable_sort(named->begin(), named->end(), [&](const auto& a, const auto& b) { return place(a) < place(b); });
}

TokenizerConfig ReadTokenizerConfig(const std::filesystem::path& directory) { return Reader(directory).Read(); }

}  // namespace ecld
