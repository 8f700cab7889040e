#include "checkpoint/tokenizer/tokenizer_config.h"

#include <charconv>

#include "core/error.h"

namespace ecld {

std::optional<std::string> SpecialTokenText(const JsonView& config, const std::string& key) {
  if (!config.Has(key)) return std::nullopt;
  JsonView token = config.At(key);
  return token.json().is_object() ? token.At("content").String() : token.String();
}

namespace {

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

}  // namespace

TokenizerConfig ReadTokenizerConfig(const std::filesystem::path& directory) {
  TokenizerConfig config;
  config.where = (directory / "tokenizer_config.json").string();
  if (std::filesystem::exists(config.where)) {
    Json json = ReadJsonFile(config.where);
    JsonView view(json, config.where);
    config.bos_token = SpecialTokenText(view, "bos_token");
    config.eos_token = SpecialTokenText(view, "eos_token");
    config.add_bos_token = view.BoolOr("add_bos_token", true);
    config.add_eos_token = view.BoolOr("add_eos_token", false);
    config.legacy = view.BoolOr("legacy", true);
    if (view.Has("added_tokens_decoder")) config.added_tokens = ReadAddedTokensDecoder(view.At("added_tokens_decoder"));
  }
  std::filesystem::path map_path = directory / "special_tokens_map.json";
  if (std::filesystem::exists(map_path)) {
    Json json = ReadJsonFile(map_path);
    JsonView view(json, map_path.string());
    if (!config.bos_token) config.bos_token = SpecialTokenText(view, "bos_token");
    if (!config.eos_token) config.eos_token = SpecialTokenText(view, "eos_token");
  }
  return config;
}

}  // namespace ecld
