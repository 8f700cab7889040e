#include "runtime/inspect.h"

#include "checkpoint/content_hashes.h"
#include "checkpoint/foreign/translation.h"
#include "runtime/tile_cache.h"

namespace ecld {

uint64_t StoredBytes(const Checkpoint& checkpoint, const TensorSpec& spec) {
  uint64_t bytes = 0;
  for (const auto& part : StoredForm(spec, checkpoint.config())) bytes += checkpoint.Stored(part.name).Bytes();
  return bytes;
}

std::string StoredFormat(const Checkpoint& checkpoint, const TensorSpec& spec) {
  return spec.format ? spec.format->Name() : std::string(Name(checkpoint.Stored(spec.name).dtype));
}

Json InspectCheckpoint(const Checkpoint& checkpoint) {
  const ContentHashes hashes = HashContents(checkpoint);
  Json tensors = Json::array(), blocks = Json::array();
  for (size_t i = 0; i < hashes.tensors.size(); ++i) {
    const TensorSpec& spec = checkpoint.table()[i];
    tensors.push_back({{"name", spec.name},
                       {"shape", spec.shape},
                       {"format", StoredFormat(checkpoint, spec)},
                       {"bytes", hashes.tensors[i].bytes},
                       {"sha256", hashes.tensors[i].sha256}});
  }
  for (const ContentHash& block : hashes.blocks)
    blocks.push_back({{"name", block.name}, {"bytes", block.bytes}, {"sha256", block.sha256}});
  Json description = NewDocument(kInspectDocument, {{"directory", checkpoint.directory().string()},
                                                    {"params", ParameterCount(checkpoint.config())},
                                                    {"weights_B", checkpoint.WeightBytes()},
                                                    {"interleaved_B", TileCache::FileBytes(checkpoint.directory())},
                                                    {"notes", checkpoint.notes()},
                                                    {"config", ToJson(checkpoint.config())},
                                                    {"tensors", std::move(tensors)},
                                                    {"blocks", std::move(blocks)}});
  if (checkpoint.translation()) description["quantized_already"] = checkpoint.translation()->ToJson();
  return description;
}

}  // namespace ecld
