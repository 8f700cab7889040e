#include "checkpoint/tokenizer/token_ids.h"

#include <algorithm>
#include <functional>
#include <set>

#include "checkpoint/tokenizer/token_map.h"
#include "core/error.h"
#include "core/files.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

// Of generation_config.json, beside what ends in "_token_id".
constexpr std::string_view kLists[] = {"suppress_tokens", "begin_suppress_tokens", "bad_words_ids", "force_words_ids"};
// Ids beside other numbers.
constexpr std::string_view kMixed[] = {"sequence_bias", "forced_decoder_ids"};
// Their ids have a shape of their own.
constexpr std::string_view kOthers[] = {"tokenizer.json",    "vocab.json",  "encoder.json",
                                        "added_tokens.json", "tekken.json", kTokenMapFile};

bool HoldsIds(std::string_view key) {
  return key.ends_with("_token_id") || key.ends_with("_token_ids") ||
         std::ranges::find(kLists, key) != std::end(kLists);
}

bool IsEmpty(const Json& value) { return value.is_null() || (value.is_structured() && value.empty()); }

void MapValue(const std::function<int64_t(int64_t, const std::string&)>& map, const std::string& where, Json* value) {
  if (value->is_array()) {
    for (size_t i = 0; i < value->size(); ++i) MapValue(map, fmt::format("{}[{}]", where, i), &(*value)[i]);
  } else if (value->is_number_integer()) {
    *value = map(value->get<int64_t>(), where);
  } else if (!value->is_null()) {
    Fail(where, "expected a token id or a list of them, found {}", Shown(*value));
  }
}

bool MapObject(const std::function<int64_t(int64_t, const std::string&)>& map, const std::string& where, Json* object) {
  bool found = false;
  for (auto& [key, value] : object->items()) {
    const std::string path = where + ": " + key;
    const bool mixed = std::ranges::find(kMixed, key) != std::end(kMixed) || key.ends_with("_token_index");
    if (mixed && !IsEmpty(value))
      Fail(path, "holds token ids in a form that is not rewritten where a vocabulary is cut; take it out first");
    if (HoldsIds(key) && !IsEmpty(value)) {
      MapValue(map, path, &value);
      found = true;
    } else if (value.is_object()) {
      found |= MapObject(map, path, &value);
    }
  }
  return found;
}

}  // namespace

NewIds NewIdsOf(const std::vector<int32_t>& kept, int64_t vocab_size) {
  NewIds ids(static_cast<size_t>(vocab_size), -1);
  for (size_t id = 0; id < kept.size(); ++id) ids[static_cast<size_t>(kept[id])] = static_cast<int32_t>(id);
  return ids;
}

int64_t NewIdOf(const NewIds& ids, int64_t id, const std::string& where) {
  if (id < 0 || id >= std::ssize(ids)) return id;
  const int32_t now = ids[static_cast<size_t>(id)];
  if (now < 0) Fail(where, "names token {}, which is cut from the vocabulary", id);
  return now;
}

bool MapTokenIds(const NewIds& ids, const std::string& where, Json* object) {
  const auto map = [&](int64_t id, const std::string& at) { return NewIdOf(ids, id, at); };
  return MapObject(map, where, object);
}

std::vector<fs::path> FilesWithTokenIds(const fs::path& directory) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    const std::string name = entry.path().filename().string();
    const bool other = std::ranges::find(kOthers, name) != std::end(kOthers) || name.ends_with(".index.json");
    if (entry.path().extension() == ".json" && !other) files.push_back(entry.path());
  }
  std::ranges::sort(files);
  return files;
}

std::vector<int32_t> NamedTokenIds(const fs::path& directory, int64_t vocab_size) {
  std::set<int32_t> named;
  const auto note = [&](int64_t id, const std::string&) {
    if (id >= 0 && id < vocab_size) named.insert(static_cast<int32_t>(id));
    return id;
  };
  for (const fs::path& path : FilesWithTokenIds(directory)) {
    Json json = ParseJson(QuotePythonNumbers(ReadTextFile(path)), path.string());
    if (json.is_object()) MapObject(note, path.string(), &json);
  }
  return {named.begin(), named.end()};
}

}  // namespace ecld
