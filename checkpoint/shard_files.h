#pragma once
// Which files of a directory hold its weights, chosen as transformers chooses: model.safetensors; else what the index
// names; else, which transformers does not look for, the one complete set of shards or the only safetensors file.
// Shards of other programs' forms (Mistral's consolidated.safetensors, adapters) are none.

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace ecld {

struct ShardFiles {
  std::vector<std::filesystem::path> paths;     // in order of their names
  std::map<std::string, std::string> promised;  // tensor -> file, where an index was followed
  bool indexed = false;                         // an index was followed, or none is needed
  std::vector<std::string> notes;               // an index that was not followed, and why
};

// THROWS Error: no weights that are read here (saying what there is instead), a shard is missing, several sets.
ShardFiles FindShardFiles(const std::filesystem::path& directory);

// THROWS Error when a directory without config.json is an adapter or holds another program's form of a model.
void RefuseOtherForms(const std::filesystem::path& directory);

}  // namespace ecld
