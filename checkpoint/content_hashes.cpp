#include "checkpoint/content_hashes.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "core/hash.h"

namespace ecld {
namespace {

std::string BlockOf(const TensorSpec& spec) {
  if (spec.layer >= 0) return fmt::format("layers.{}", spec.layer);
  return spec.role == Role::kEmbedding ? "embedding" : "head";
}

void UpdateInSteps(Sha256& hash, std::span<const std::byte> bytes) {
  constexpr size_t kStep = size_t{8} << 20;
  while (!bytes.empty()) {
    const auto step = bytes.first(std::min(kStep, bytes.size()));
    hash.Update(step);
    MappedFile::DropPages(step);
    bytes = bytes.subspan(step.size());
  }
}

ContentHash HashOf(const Checkpoint& checkpoint, const TensorSpec& spec) {
  ContentHash made{.name = spec.name};
  Sha256 hash;
  for (const StoredTensor& part : StoredForm(spec, checkpoint.config())) {
    const TensorView& stored = checkpoint.Tensor(part.name);
    hash.Update(fmt::format("{} {} ", Name(stored.dtype), fmt::join(stored.shape, "x")));
    UpdateInSteps(hash, stored.bytes);
    made.bytes += stored.bytes.size();
  }
  made.sha256 = hash.HexDigest();
  return made;
}

}  // namespace

ContentHashes HashContents(const Checkpoint& checkpoint) {
  ContentHashes made;
  std::vector<Sha256> of_blocks;
  for (const TensorSpec& spec : checkpoint.table()) {
    made.tensors.push_back(HashOf(checkpoint, spec));
    const ContentHash& tensor = made.tensors.back();
    const auto found = std::ranges::find(made.blocks, BlockOf(spec), &ContentHash::name);
    const auto at = static_cast<size_t>(found - made.blocks.begin());
    if (found == made.blocks.end()) {
      made.blocks.push_back({.name = BlockOf(spec)});
      of_blocks.emplace_back();
    }
    made.blocks[at].bytes += tensor.bytes;
    of_blocks[at].Update(tensor.sha256);
  }
  for (size_t i = 0; i < made.blocks.size(); ++i) made.blocks[i].sha256 = of_blocks[i].HexDigest();
  return made;
}

}  // namespace ecld
