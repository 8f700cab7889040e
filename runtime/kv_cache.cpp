#include "runtime/kv_cache.h"

#include <algorithm>

namespace ecld {
namespace {

std::vector<KvShape> ShapesOf(const RuntimeModel& model) {
  const ModelConfig& config = model.config();
  std::vector<KvShape> shapes;
  for (const RuntimeBlock& block : model.blocks())
    shapes.push_back({.type = model.options().Kv(),
                      .num_kv_heads = block[Role::kKey].weight.out_features / config.head_dim,
                      .head_dim = config.head_dim});
  return shapes;
}

}  // namespace

KvCache::KvCache(const RuntimeModel& model)
    : shapes_(ShapesOf(model)), layers_(model.blocks().size()), capacities_(model.blocks().size()) {}

uint64_t KvCache::Bytes() const {
  uint64_t bytes = 0;
  for (const auto& layer : layers_) bytes += layer.capacity() * sizeof(Line);
  return bytes;
}

uint64_t KvCache::BytesPerToken(const RuntimeModel& model) {
  int64_t bytes = 0;
  for (const KvShape& shape : ShapesOf(model)) bytes += shape.Bytes(kKeyBlock) / kKeyBlock;
  return static_cast<uint64_t>(bytes);
}

void KvCache::Reserve(int64_t tokens) {
  for (size_t i = 0; i < layers_.size(); ++i) {
    if (tokens <= capacities_[i]) continue;
    const int64_t capacity = WholeKeyBlocks(tokens);
    Lines grown((static_cast<size_t>(shapes_[i].Bytes(capacity)) + sizeof(Line) - 1) / sizeof(Line));
    if (length_ > 0) CopyKv(View(i), length_, {.shape = shapes_[i], .capacity = capacity, .data = grown[0].bytes});
    layers_[i] = std::move(grown);
    capacities_[i] = capacity;
  }
}

void KvCache::Grow(int64_t tokens) {
  if (const int64_t least = *std::ranges::min_element(capacities_); tokens > least)
    Reserve(std::max(tokens, least + least / 2));
}

KvView KvCache::View(size_t layer) {
  return {.shape = shapes_[layer], .capacity = capacities_[layer], .data = layers_[layer][0].bytes};
}

}  // namespace ecld
