#pragma once
// token_map.json: beside a checkpoint whose vocabulary was cut (prune.vocab), which tokens of the original's it kept:
//
//   {"schema": "ecld.token_map", "schema_version": "1.0.0",
//    "vocab_size": 49152,          rows of the embedding of the original
//    "old_ids": [0, 1, 2, ...]}    for each id, in order, that of the original; ascending
//
// A vocabulary that is cut again keeps the map to the first original. So two checkpoints of one original can be told
// apart and related, whichever of them was cut: by it a student's text is read by its teacher (IdsIn). What binds a map
// to a model is that each token is the same text in both.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include "core/json.h"

namespace ecld {

inline constexpr const char* kTokenMapFile = "token_map.json";

struct TokenMap {
  int64_t vocab_size = 0;
  std::vector<int32_t> old_ids;

  bool operator==(const TokenMap&) const = default;
};

// Of a checkpoint directory; nothing where the file is not there. THROWS Error: malformed, ids that do not ascend or
// are outside vocab_size.
std::optional<TokenMap> ReadTokenMap(const std::filesystem::path& directory);
TokenMap ParseTokenMap(const JsonView& json);
void WriteTokenMap(const std::filesystem::path& directory, const TokenMap& map);

// The map of a checkpoint that keeps these ids of one with `before` (none: of an original with vocab_size ids).
TokenMap MapOfCut(const std::optional<TokenMap>& before, int64_t vocab_size, const std::vector<int32_t>& kept);

// A checkpoint directory, and rows of its embedding.
struct VocabularyOf {
  std::filesystem::path directory;
  int64_t vocab_size = 0;
};

// For each id of model, the id of the same token in teacher; empty where neither was cut, or both in the same way: they
// are taken to be the same then, which whoever has a text can see. THROWS Error, naming the first id that differs:
// other sizes and no map; a token that the teacher has not, or that is another one there.
std::vector<int32_t> IdsIn(const VocabularyOf& teacher, const VocabularyOf& model);

// Windows of ids as a model reads them that has for each of them another one: IdsIn; empty: the same.
std::vector<std::vector<int32_t>> WindowsBy(const std::vector<int32_t>& ids, std::vector<std::vector<int32_t>> windows);

// Where IdsIn takes two vocabularies to be the same: looks whether each token is the same text in both. THROWS Error
// naming ids that differ; and what Tokenizer::Open throws.
void RequireSameTokens(const VocabularyOf& teacher, const VocabularyOf& model);

}  // namespace ecld
