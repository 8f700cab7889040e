#pragma once
// Which fields of a model's JSON files hold ids of tokens, and how such a field is brought to other ids: config.json,
// generation_config.json, tokenizer_config.json, and whatever else lies beside them ("image_token_id" of a processor).
// tokenizer.json itself, whose every part has ids, is cut_tokenizer.h's.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/json.h"

namespace ecld {

// By old id: the new one, -1 where the token is cut.
using NewIds = std::vector<int32_t>;

// kept: old ids, ascending; they get 0, 1, 2, ... vocab_size: of the old ones.
NewIds NewIdsOf(const std::vector<int32_t>& kept, int64_t vocab_size);

// The new id of one that stands in a file. What is outside the old vocabulary named no token, and stays.
// THROWS Error naming where when the token is cut.
int64_t NewIdOf(const NewIds& ids, int64_t id, const std::string& where);

// Replaces the ids in all fields of an object, and of objects in it, that hold any: "*_token_id" and the like, one id,
// or lists of them. Whether there was such a field. THROWS Error: a field whose ids are written in another way
// (sequence_bias); a token that is cut.
bool MapTokenIds(const NewIds& ids, const std::string& where, Json* object);

// JSON files of a model that may have such fields: config.json, and those beside it. Absolute.
std::vector<std::filesystem::path> FilesWithTokenIds(const std::filesystem::path& directory);

// All ids in them, those outside the vocabulary left out. Sorted, each once. THROWS Error as MapTokenIds.
std::vector<int32_t> NamedTokenIds(const std::filesystem::path& directory, int64_t vocab_size);

}  // namespace ecld
