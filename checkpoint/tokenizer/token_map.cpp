#include "checkpoint/tokenizer/token_map.h"

#include <algorithm>
#include <memory>
#include <numeric>
#include <string>
#include <utility>

#include "checkpoint/tokenizer/tokenizer.h"
#include "core/document.h"
#include "core/error.h"
#include "core/files.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

constexpr DocumentKind kTokenMapDocument{"ecld.token_map", "1.0.0"};
constexpr int64_t kMostIds = int64_t{1} << 31;

// The first id whose token is another text in the other model, and the two texts; -1: none.
struct Difference {
  int64_t id = -1;
  std::string here, there;
};

Difference FirstDifference(const Tokenizer& model, int64_t vocab_size, const Tokenizer& teacher,
                           const std::vector<int32_t>& ids) {
  for (int64_t id = 0; id < vocab_size; ++id) {
    const int32_t other = ids.empty() ? static_cast<int32_t>(id) : ids[static_cast<size_t>(id)];
    const std::string_view here = model.Bytes(static_cast<int32_t>(id), false), there = teacher.Bytes(other, false);
    if (here != there) return {id, std::string(here), std::string(there)};
  }
  return {};
}

// By id of the original: the id that a model has for it, -1 where its token was cut.
std::vector<int32_t> ByOldId(const std::optional<TokenMap>& map, int64_t vocab_size) {
  std::vector<int32_t> ids(static_cast<size_t>(map ? map->vocab_size : vocab_size), -1);
  if (!map) std::iota(ids.begin(), ids.end(), 0);
  if (map)
    for (size_t id = 0; id < map->old_ids.size(); ++id)
      ids[static_cast<size_t>(map->old_ids[id])] = static_cast<int32_t>(id);
  return ids;
}

[[noreturn]] void FailUnrelated(const VocabularyOf& teacher, const VocabularyOf& model) {
  const int64_t both = std::min(teacher.vocab_size, model.vocab_size);
  const Difference first =
      FirstDifference(*Tokenizer::Open(model.directory), both, *Tokenizer::Open(teacher.directory), {});
  const std::string differ =
      first.id < 0 ? fmt::format("{} is the first id that only one of them has", both)
                   : fmt::format("id {} is {} here and {} there", first.id, Shown(first.there), Shown(first.here));
  Fail(teacher.directory.string(),
       "its vocabulary has {} tokens, that of {} has {}, and no {} says which of them are the same; {}. Only models "
       "that share a vocabulary, or whose vocabulary was cut from the other's, can be compared token by token",
       teacher.vocab_size, model.directory.string(), model.vocab_size, kTokenMapFile, differ);
}

}  // namespace

std::optional<TokenMap> ReadTokenMap(const fs::path& directory) {
  const fs::path path = directory / kTokenMapFile;
  if (!fs::exists(path)) return std::nullopt;
  const Json json = ReadJsonFile(path);
  return ParseTokenMap(JsonView(json, path.string()));
}

TokenMap ParseTokenMap(const JsonView& view) {
  RequireKind(view, kTokenMapDocument);
  TokenMap map;
  map.vocab_size = view.At("vocab_size").Int();
  if (map.vocab_size < 1 || map.vocab_size >= kMostIds)
    Fail(view.At("vocab_size").Where(), "expected 1 to 2^31 - 1, found {}", map.vocab_size);
  const JsonView ids = view.At("old_ids");
  int64_t last = -1;
  for (size_t i = 0; i < ids.Size(); ++i) {
    const int64_t id = ids.At(i).Int();
    if (id <= last || id >= map.vocab_size)
      Fail(ids.At(i).Where(), "expected an id above {} and below {}, found {}", last, map.vocab_size, id);
    map.old_ids.push_back(static_cast<int32_t>(id));
    last = id;
  }
  return map;
}

void WriteTokenMap(const fs::path& directory, const TokenMap& map) {
  const Json json = NewDocument(kTokenMapDocument, {{"vocab_size", map.vocab_size}, {"old_ids", map.old_ids}});
  WriteFileAtomically(directory / kTokenMapFile, json.dump() + "\n");
}

TokenMap MapOfCut(const std::optional<TokenMap>& before, int64_t vocab_size, const std::vector<int32_t>& kept) {
  if (!before) return {vocab_size, kept};
  TokenMap map{before->vocab_size, {}};
  for (const int32_t id : kept) map.old_ids.push_back(before->old_ids[static_cast<size_t>(id)]);
  return map;
}

std::vector<int32_t> IdsIn(const VocabularyOf& teacher, const VocabularyOf& model) {
  const std::optional<TokenMap> own = ReadTokenMap(model.directory), theirs = ReadTokenMap(teacher.directory);
  for (const auto& [map, of] : {std::pair(&own, &model), std::pair(&theirs, &teacher)})
    if (*map && std::ssize((*map)->old_ids) != of->vocab_size)
      Fail((of->directory / kTokenMapFile).string(), "has {} ids, but the model has a vocabulary of {}",
           (*map)->old_ids.size(), of->vocab_size);
  // A map may have been lost on the way through another format.
  if (model.vocab_size == teacher.vocab_size && (own == theirs || !own || !theirs)) return {};
  const int64_t original_size = own ? own->vocab_size : model.vocab_size;
  if (own == theirs || original_size != (theirs ? theirs->vocab_size : teacher.vocab_size))
    FailUnrelated(teacher, model);
  const std::vector<int32_t> by_old_id = ByOldId(theirs, teacher.vocab_size);
  const std::unique_ptr<Tokenizer> here = Tokenizer::Open(model.directory), there = Tokenizer::Open(teacher.directory);
  std::vector<int32_t> ids;
  for (int32_t id = 0; id < model.vocab_size; ++id) {
    ids.push_back(by_old_id[static_cast<size_t>(own ? own->old_ids[static_cast<size_t>(id)] : id)]);
    if (ids.back() < 0)
      Fail(teacher.directory.string(), "has no token for id {} of {}, {}: its vocabulary was cut to other tokens", id,
           model.directory.string(), Shown(std::string(here->Bytes(id, false))));
  }
  if (const Difference first = FirstDifference(*here, model.vocab_size, *there, ids); first.id >= 0)
    Fail(teacher.directory.string(),
         "is not what {} was cut from: by its {}, id {} is id {} here; but that is {}, and there it is {}",
         model.directory.string(), kTokenMapFile, first.id, ids[static_cast<size_t>(first.id)], Shown(first.there),
         Shown(first.here));
  return ids;
}

std::vector<std::vector<int32_t>> WindowsBy(const std::vector<int32_t>& ids,
                                            std::vector<std::vector<int32_t>> windows) {
  if (ids.empty()) return windows;
  for (auto& window : windows)
    for (int32_t& id : window) id = ids.at(static_cast<size_t>(id));
  return windows;
}

void RequireSameTokens(const VocabularyOf& teacher, const VocabularyOf& model) {
  constexpr int64_t kShownIds = 3;
  const std::unique_ptr<Tokenizer> here = Tokenizer::Open(model.directory), there = Tokenizer::Open(teacher.directory);
  std::string differ;
  int64_t different = 0;
  for (int32_t id = 0; id < model.vocab_size; ++id) {
    const std::string_view mine = here->Bytes(id, false), theirs = there->Bytes(id, false);
    if (mine == theirs || ++different > kShownIds) continue;
    differ += fmt::format("{}id {} is {} here and {} there", differ.empty() ? "" : ", ", id, Shown(std::string(theirs)),
                          Shown(std::string(mine)));
  }
  if (different > 0)
    Fail(teacher.directory.string(),
         "has another vocabulary than {}: {} of {} ids differ ({}{}); only models that share "
         "one, or whose own was cut from the other's, can be compared token by token",
         model.directory.string(), different, model.vocab_size, differ, different > kShownIds ? ", ..." : "");
}

}  // namespace ecld
