#pragma once
// The tokenizer of a tiny checkpoint without some of its tokens, as prune.vocab leaves it, and the checkpoint.

#include <algorithm>
#include <filesystem>
#include <vector>

#include "checkpoint/checkpoint_writer.h"
#include "checkpoint/tokenizer/cut_tokenizer.h"
#include "checkpoint/tokenizer/token_map.h"
#include "core/json.h"

namespace ecld {

// Without weights. The ids of `from` that are left.
inline std::vector<int32_t> CutTinyTokenizer(const std::filesystem::path& from, const std::filesystem::path& to,
                                             const std::vector<int32_t>& cut) {
  Json config = ReadJsonFile(from / "config.json");
  const auto all = config["vocab_size"].get<int64_t>();
  std::vector<int32_t> kept;
  for (int32_t id = 0; id < all; ++id)
    if (std::ranges::find(cut, id) == cut.end()) kept.push_back(id);
  const NewIds ids = NewIdsOf(kept, all);
  std::filesystem::create_directories(to);
  for (const auto& entry : std::filesystem::directory_iterator(from))
    if (entry.path().extension() == ".json" || entry.path().extension() == ".txt" ||
        entry.path().extension() == ".model")
      std::filesystem::copy(entry.path(), to / entry.path().filename());
  std::filesystem::remove(to / "model.safetensors.index.json");
  config["vocab_size"] = std::ssize(kept);
  MapTokenIds(ids, "config.json", &config);
  WriteJsonFile(to / "config.json", config);
  CutTokenizer(from, to, ids);
  WriteTokenMap(to, MapOfCut(ReadTokenMap(from), all, kept));
  return kept;
}

// A checkpoint without these tokens, weights and all.
inline std::vector<int32_t> CutTinyCheckpoint(const std::filesystem::path& from, const std::filesystem::path& to,
                                              const std::vector<int32_t>& cut) {
  const std::filesystem::path files = to.string() + ".files";
  const std::vector<int32_t> kept = CutTinyTokenizer(from, files, cut);
  const Checkpoint in = Checkpoint::Open(from);
  CheckpointWriter out(to, ReadConfig(files / "config.json"));
  for (const TensorSpec& spec : out.table()) {
    if (spec.role != Role::kEmbedding && spec.role != Role::kHead) {
      out.CopyFrom(in, spec);
      continue;
    }
    const std::vector<float> rows = in.ReadFloats(Find(in.table(), spec.role));
    const auto width = static_cast<size_t>(spec.shape[1]);
    std::vector<float> left;
    for (const int32_t id : kept)
      left.insert(left.end(), rows.begin() + static_cast<ptrdiff_t>(static_cast<size_t>(id) * width),
                  rows.begin() + static_cast<ptrdiff_t>(static_cast<size_t>(id + 1) * width));
    out.WriteFloats(spec, left);
  }
  std::filesystem::remove(files / "config.json");
  out.Finish(files);
  return kept;
}

}  // namespace ecld
