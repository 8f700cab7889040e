#include "runtime/kv_cache.h"

#include <algorithm>

namespace ecld {
namespace {

KvShape ShapeOf(const RuntimeModel& model) {
  return {
      .type = model.options().Kv(), .num_kv_heads = model.config().num_kv_heads, .head_dim = model.config().head_dim};
}

}  // namespace

KvCache::KvCache(const RuntimeModel& model)
    : shape_(ShapeOf(model)), layers_(model.blocks().size()), capacities_(model.blocks().size()) {}

uint64_t KvCache::Bytes() const {
  uint64_t bytes = 0;
  for (const auto& layer : layers_) bytes += layer.capacity() * sizeof(Line);
  return bytes;
}

uint64_t KvCache::BytesPerToken(const RuntimeModel& model) {
  return model.blocks().size() * static_cast<uint64_t>(ShapeOf(model).Bytes(kKeyBlock) / kKeyBlock);
}

void KvCache::Reserve(int64_t tokens) {
  for (size_t i = 0; i < layers_.size(); ++i) {
    if (tokens <= capacities_[i]) continue;
    const int64_t capacity = WholeKeyBlocks(tokens);
    Lines grown((static_cast<size_t>(shape_.Bytes(capacity)) + sizeof(Line) - 1) / sizeof(Line));
    if (length_ > 0) CopyKv(View(i), length_, {.shape = shape_, .capacity = capacity, .data = grown[0].bytes});
    layers_[i] = std::move(grown);
    capacities_[i] = capacity;
  }
}

void KvCache::Grow(int64_t tokens) {
  if (const int64_t least = *std::ranges::min_element(capacities_); tokens > least)
    Reserve(std::max(tokens, least + least / 2));
}

KvView KvCache::View(size_t layer) {
  return {.shape = shape_, .capacity = capacities_[layer], .data = layers_[layer][0].bytes};
}

}  // namespace ecld
