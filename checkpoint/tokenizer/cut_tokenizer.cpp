#include "checkpoint/tokenizer/cut_tokenizer.h"

#include <algorithm>
#include <charconv>
#include <unordered_set>

#include "checkpoint/tokenizer/json_tokenizer_file.h"
#include "checkpoint/tokenizer/tokenizer_class.h"
#include "checkpoint/tokenizer/tokenizer_config.h"
#include "core/error.h"
#include "core/files.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

// Vocabularies in the forms of other programs.
constexpr std::string_view kOtherNames[] = {"vocab.json", "encoder.json", "tekken.json"};
constexpr std::string_view kOtherEndings[] = {".model", ".tiktoken", ".vocab", ".bpe", "merges.txt", "vocab.txt"};

bool IsOtherForm(const std::string& name) {
  if (name.starts_with("tokenizer.") && name.ends_with(".json") && name != "tokenizer.json") return true;
  return std::ranges::find(kOtherNames, name) != std::end(kOtherNames) ||
         std::ranges::any_of(kOtherEndings, [&](std::string_view ending) { return name.ends_with(ending); });
}

void MapId(const NewIds& ids, const std::string& where, Json* id) {
  *id = NewIdOf(ids, JsonView(*id, where).Int(), where);
}

// One field of an object that holds an id or a list of them.
void MapField(const NewIds& ids, const std::string& where, const char* key, Json* object) {
  if (!object->contains(key) || (*object)[key].is_null()) return;
  const std::string path = where + ": " + key;
  Json& value = (*object)[key];
  if (!value.is_array()) {
    MapId(ids, path, &value);
    return;
  }
  for (Json& id : value) MapId(ids, path, &id);
}

void MapPostProcessor(const NewIds& ids, const std::string& where, Json* json) {
  if (!json->is_object()) return;
  if (json->contains("processors"))
    for (Json& part : (*json)["processors"]) MapPostProcessor(ids, where, &part);
  if (json->contains("special_tokens"))
    for (auto& [name, token] : (*json)["special_tokens"].items()) MapField(ids, where, "ids", &token);
  for (const char* key : {"sep", "cls"})  // [text, id]
    if (json->contains(key) && (*json)[key].is_array() && (*json)[key].size() == 2)
      MapId(ids, where + ": " + key, &(*json)[key][1]);
}

// Appends without looking whether the key is there, which in a list of all tokens would take a minute.
void Append(Json* object, const std::string& key, int64_t value) {
  object->get_ref<Json::object_t&>().Json::object_t::Container::emplace_back(key, value);
}

void CutModel(const NewIds& ids, const JsonTokenizerFile& file, Json* model) {
  std::vector<std::pair<int64_t, const std::string*>> kept;
  std::unordered_set<std::string> texts;
  for (const auto& [text, id] : file.vocab)
    if (id < std::ssize(ids) && ids[static_cast<size_t>(id)] >= 0) {
      kept.emplace_back(ids[static_cast<size_t>(id)], &text);
      texts.insert(text);
    }
  std::ranges::sort(kept);
  Json vocab = Json::object(), merges = Json::array();
  for (const auto& [id, text] : kept) Append(&vocab, *text, id);
  // Older programs read only "a b", newer ones a pair too, which a token with a space in it needs.
  const bool pairs =
      std::ranges::any_of(texts, [](const std::string& text) { return text.find(' ') != std::string::npos; });
  for (const auto& [left, right] : file.merges) {
    if (!texts.contains(left) || !texts.contains(right) || !texts.contains(left + right)) continue;
    merges.push_back(pairs ? Json::array({left, right}) : Json(left + " " + right));
  }
  (*model)["vocab"] = std::move(vocab);
  (*model)["merges"] = std::move(merges);
}

void CutTokenizerJson(const NewIds& ids, const fs::path& path) {
  const std::string where = path.string();
  JsonTokenizerFile file = ParseJsonTokenizer(ReadTextFile(path), where);
  Json json = std::move(file.json);
  CutModel(ids, file, &json["model"]);
  if (json.contains("added_tokens") && json["added_tokens"].is_array())
    for (Json& token : json["added_tokens"]) MapField(ids, where + ": added_tokens", "id", &token);
  if (json.contains("post_processor")) MapPostProcessor(ids, where + ": post_processor", &json["post_processor"]);
  if (json.contains("padding") && json["padding"].is_object())
    MapField(ids, where + ": padding", "pad_id", &json["padding"]);
  WriteJsonFile(path, json);
}

// added_tokens_decoder: {"151643": {...}}.
void MapKeys(const NewIds& ids, const std::string& where, Json* object) {
  Json mapped = Json::object();
  for (const auto& [key, value] : object->items()) {
    int64_t id = -1;
    std::from_chars(key.data(), key.data() + key.size(), id);
    mapped[std::to_string(NewIdOf(ids, id, where))] = value;
  }
  *object = std::move(mapped);
}

// Whether there was an id in it.
bool CutJson(const NewIds& ids, const fs::path& path) {
  const std::string where = path.string(), name = path.filename().string();
  Json json = ParseJson(QuotePythonNumbers(ReadTextFile(path)), where);
  if (!json.is_object()) return false;
  bool found = MapTokenIds(ids, where, &json);
  if (name == "added_tokens.json") {
    for (auto& [token, id] : json.items()) MapId(ids, where + ": " + token, &id);
    found = true;
  }
  if (name == "tokenizer_config.json") {
    for (const char* key : {"vocab", "merges", "fast_tokenizer_files"})
      if (json.contains(key) && !json[key].empty())
        Fail(where + ": " + key, "says what another file says too, and is not rewritten; take it out first");
    if (json.contains("added_tokens_decoder") && json["added_tokens_decoder"].is_object()) {
      MapKeys(ids, where + ": added_tokens_decoder", &json["added_tokens_decoder"]);
      found = true;
    }
  }
  if (found) WriteJsonFile(path, json);
  return found;
}

// The tokens that transformers makes of the files, by id.
std::vector<std::string> TokensOf(const fs::path& directory) {
  const std::string where = (directory / "tokenizer.json").string();
  TokenizerConfig config = ReadTokenizerConfig(directory);
  JsonTokenizerFile file = ParseJsonTokenizer(ReadTextFile(directory / "tokenizer.json"), where);
  ApplyTokenizerConfig(where, &config, &file);
  std::vector<std::string> tokens;
  const auto put = [&](int64_t id, const std::string& text) {
    if (id >= std::ssize(tokens)) tokens.resize(static_cast<size_t>(id) + 1);
    tokens[static_cast<size_t>(id)] = text;
  };
  for (const auto& [text, id] : file.vocab) put(id, text);
  for (const Json& token : file.json["added_tokens"]) put(token["id"].get<int64_t>(), token["content"]);
  return tokens;
}

void RequireSameTokens(const fs::path& from, const fs::path& directory, const NewIds& ids) {
  const std::vector<std::string> before = TokensOf(from), after = TokensOf(directory);
  for (size_t id = 0; id < before.size(); ++id) {
    const int32_t now = id < ids.size() ? ids[id] : -1;
    if (now < 0) continue;
    const std::string found = now < std::ssize(after) ? after[static_cast<size_t>(now)] : "";
    if (found != before[id])
      Fail(from.string(),
           "its vocabulary cannot be cut: token {} {} would be id {}, which transformers gives to {} when it adds the "
           "tokens that these files name; make them agree first (save_pretrained of its tokenizer writes them so)",
           id, Shown(before[id]), now, Shown(found));
  }
}

}  // namespace

CutFiles CutTokenizer(const fs::path& from, const fs::path& directory, const NewIds& ids) {
  CutFiles files;
  const auto name = [&](const fs::path& path) { return path.lexically_relative(directory).string(); };
  CutTokenizerJson(ids, directory / "tokenizer.json");
  files.rewritten.push_back("tokenizer.json");
  std::vector<fs::path> others;
  for (const auto& entry : fs::recursive_directory_iterator(directory))
    if (IsOtherForm(entry.path().filename().string())) others.push_back(entry.path());
  for (const fs::path& path : others) {
    fs::remove(path);
    files.removed.push_back(name(path));
  }
  std::vector<fs::path> with_ids = FilesWithTokenIds(directory);
  if (fs::exists(directory / "added_tokens.json")) with_ids.push_back(directory / "added_tokens.json");
  for (const fs::path& path : with_ids)
    if (path != directory / "config.json" && CutJson(ids, path)) files.rewritten.push_back(name(path));
  std::ranges::sort(files.rewritten);
  std::ranges::sort(files.removed);
  RequireSameTokens(from, directory, ids);
  return files;
}

}  // namespace ecld
