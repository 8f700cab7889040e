#include "checkpoint/shard_files.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <set>

#include "core/error.h"
#include "core/json.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

constexpr const char* kIndexName = "model.safetensors.index.json";
constexpr const char* kSingleName = "model.safetensors";
constexpr std::string_view kSuffix = ".safetensors";

// One file of a set: "model-00002-of-00003.safetensors".
struct ShardName {
  std::string set;  // "model-of-00003"
  int64_t count = 0;
};

std::optional<ShardName> ParseShardName(std::string_view name) {
  constexpr size_t kDigits = 5, kTail = 2 * kDigits + 5;  // "-00002-of-00003"
  name.remove_suffix(kSuffix.size());
  if (name.size() < kTail) return std::nullopt;
  const std::string_view tail = name.substr(name.size() - kTail);
  const std::string_view count = tail.substr(kTail - kDigits);
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  if (tail[0] != '-' || tail.substr(1 + kDigits, 4) != "-of-") return std::nullopt;
  if (!std::ranges::all_of(tail.substr(1, kDigits), digit) || !std::ranges::all_of(count, digit)) return std::nullopt;
  ShardName shard{fmt::format("{}-of-{}", name.substr(0, name.size() - kTail), count)};
  std::from_chars(count.data(), count.data() + count.size(), shard.count);
  return shard;
}

std::vector<std::string> FilesEndingIn(const fs::path& directory, std::string_view suffix) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(directory))
    if (std::string name = entry.path().filename().string(); name.ends_with(suffix)) names.push_back(std::move(name));
  std::ranges::sort(names);
  return names;
}

bool OtherForm(const std::string& name) { return name.starts_with("consolidated") || name.starts_with("adapter"); }

// The files of the one complete set, or the only file; nothing where that is not clear.
std::vector<std::string> CompleteSet(const std::vector<std::string>& names) {
  std::map<std::string, std::pair<int64_t, std::vector<std::string>>> sets;
  std::vector<std::string> single;
  for (const std::string& name : names) {
    if (auto shard = ParseShardName(name)) {
      auto& [count, files] = sets[shard->set];
      count = shard->count;
      files.push_back(name);
    } else {
      single.push_back(name);
    }
  }
  std::vector<std::vector<std::string>> complete;
  for (auto& [set, found] : sets)
    if (std::ssize(found.second) == found.first) complete.push_back(std::move(found.second));
  if (complete.size() == 1) return complete[0];
  return sets.empty() && single.size() == 1 ? single : std::vector<std::string>();
}

[[noreturn]] void FailWithoutWeights(const fs::path& directory, const std::vector<std::string>& names) {
  const std::string where = directory.string();
  if (!names.empty())
    Fail(where, "holds neither {} nor {}, and its safetensors files are not one complete set of shards: {}",
         kSingleName, kIndexName, fmt::join(names, ", "));
  for (const char* suffix : {".bin", ".pt", ".pth"})
    if (auto found = FilesEndingIn(directory, suffix); !found.empty() && found[0] != "training_args.bin")
      Fail(where, "holds {}; only safetensors is read: convert it first", found[0]);
  if (auto found = FilesEndingIn(directory, kSuffix); !found.empty())
    Fail(where, "holds {}, which is {}", found[0],
         found[0].starts_with("adapter")
             ? "an adapter; merge it into its model first"
             : "the form of Mistral's own programs; what is read is the Hugging Face form of the same model");
  if (auto found = FilesEndingIn(directory, ".gguf"); !found.empty())
    Fail(where, "holds {}; turn it into a checkpoint directory with `ecld import` first", found[0]);
  Fail(where, "holds neither {} nor {}", kSingleName, kIndexName);
}

std::map<std::string, std::string> ReadIndex(const fs::path& path) {
  std::map<std::string, std::string> promised;
  Json index = ReadJsonFile(path);
  JsonView map = JsonView(index, path.string()).At("weight_map");
  for (const auto& tensor : map.Keys()) {
    std::string file = map.At(tensor).String();
    if (file.find('/') != std::string::npos || file.empty())
      Fail(map.At(tensor).Where(), "\"{}\" is not a file name inside the checkpoint", file);
    promised.emplace(tensor, std::move(file));
  }
  return promised;
}

}  // namespace

ShardFiles FindShardFiles(const fs::path& directory) {
  ShardFiles found;
  const bool has_index = fs::exists(directory / kIndexName);
  if (has_index) found.promised = ReadIndex(directory / kIndexName);
  std::set<std::string> named;
  for (const auto& [tensor, file] : found.promised) named.insert(file);
  found.indexed = true;
  if (fs::exists(directory / kSingleName)) {
    if (has_index && named != std::set<std::string>{kSingleName}) {
      found.promised.clear();
      found.notes.push_back(fmt::format("{} is not followed: {} is there, and comes first", kIndexName, kSingleName));
    }
    found.paths = {directory / kSingleName};
    return found;
  }
  const auto missing = std::ranges::find_if(named, [&](const auto& name) { return !fs::exists(directory / name); });
  if (has_index && missing == named.end()) {
    for (const auto& name : named) found.paths.push_back(directory / name);
    return found;
  }
  std::vector<std::string> names = FilesEndingIn(directory, kSuffix);
  std::erase_if(names, OtherForm);
  const std::vector<std::string> set = CompleteSet(names);
  if (set.empty() && has_index) Fail((directory / *missing).string(), "shard is missing (named by {})", kIndexName);
  if (set.empty()) FailWithoutWeights(directory, names);
  if (has_index)
    found.notes.push_back(fmt::format("{} is not followed: it names {}, which is not there, while {} is complete",
                                      kIndexName, *missing, set[0]));
  found.promised.clear();
  found.indexed = set.size() == 1 && set[0] == kSingleName;
  for (const auto& name : set) found.paths.push_back(directory / name);
  return found;
}

void RefuseOtherForms(const fs::path& directory) {
  const bool has_config = fs::exists(directory / "config.json");
  if (fs::exists(directory / "adapter_config.json"))
    Fail(directory.string(), "holds an adapter (adapter_config.json){}; merge it into its model first",
         has_config ? " beside a model, which other programs would add to it" : ", not a model");
  if (has_config) return;
  if (fs::exists(directory / "params.json"))
    Fail(directory.string(),
         "holds params.json and no config.json, the form of Meta's and Mistral's own programs; what is read is the "
         "Hugging Face form of the same model");
}

}  // namespace ecld
