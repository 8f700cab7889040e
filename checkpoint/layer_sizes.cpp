#include "checkpoint/layer_sizes.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "core/error.h"

namespace ecld {
namespace {

constexpr std::pair<const char*, int64_t LayerSizes::*> kFields[] = {
    {"intermediate_size", &LayerSizes::intermediate_size},
    {"num_attention_heads", &LayerSizes::num_heads},
    {"num_key_value_heads", &LayerSizes::num_kv_heads},
};

// Numbers may be padded with zeros, as transformers writes them.
int64_t LayerOf(const std::string& key, int64_t layers, const std::string& where) {
  int64_t layer = -1;
  const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), layer);
  if (error != std::errc() || end != key.data() + key.size() || layer < 0 || layer >= layers)
    Fail(where, "\"{}\" is no layer; expected 0 to {}", key, layers - 1);
  return layer;
}

void ReadOne(const JsonView& json, LayerSizes* sizes) {
  for (const std::string& key : json.Keys()) {
    const auto* field = std::ranges::find(kFields, key, [](const auto& known) { return known.first; });
    if (field == std::end(kFields))
      Fail(json.At(key).Where(),
           "differs between layers; only intermediate_size, num_attention_heads and num_key_value_heads may");
    const int64_t size = json.At(key).Int();
    if (size < 1 || size >= (int64_t{1} << 31)) Fail(json.At(key).Where(), "expected 1 to 2^31 - 1, found {}", size);
    sizes->*field->second = size;
  }
  if (sizes->num_heads % sizes->num_kv_heads != 0)
    Fail(json.Where(), "num_key_value_heads: {} does not divide num_attention_heads {}", sizes->num_kv_heads,
         sizes->num_heads);
}

// REQUIRES: the config's own sizes are those for all.
std::vector<LayerSizes> SizesIn(const JsonView& json, const ModelConfig& config) {
  std::vector<LayerSizes> sizes(static_cast<size_t>(config.num_layers),
                                {config.intermediate_size, config.num_heads, config.num_kv_heads});
  if (!json.Has(kPerLayerKey)) return sizes;
  const JsonView layers = json.At(kPerLayerKey);
  for (const std::string& key : layers.Keys())
    ReadOne(layers.At(key), &sizes[static_cast<size_t>(LayerOf(key, config.num_layers, layers.Where()))]);
  return sizes;
}

}  // namespace

std::vector<LayerSizes> SizesOfLayers(const ModelConfig& config) {
  return SizesIn(JsonView(config.source, "config.json"), config);
}

bool LayersDiffer(const ModelConfig& config) { return config.source.contains(kPerLayerKey); }

ModelConfig WithLayerSizes(const ModelConfig& config, const std::vector<LayerSizes>& sizes) {
  ModelConfig result = config;
  const auto largest = [&](int64_t LayerSizes::*field) { return std::ranges::max(sizes, {}, field).*field; };
  const LayerSizes all = {largest(&LayerSizes::intermediate_size), largest(&LayerSizes::num_heads),
                          largest(&LayerSizes::num_kv_heads)};
  result.intermediate_size = all.intermediate_size;
  result.num_heads = all.num_heads;
  result.num_kv_heads = all.num_kv_heads;
  result.source.erase(kPerLayerKey);
  for (size_t layer = 0; layer < sizes.size(); ++layer)
    for (const auto& [key, field] : kFields)
      if (sizes[layer].*field != all.*field)
        result.source[kPerLayerKey][std::to_string(layer)][key] = sizes[layer].*field;
  return result;
}

void ReadLayerSizes(const JsonView& json, ModelConfig* config) {
  if (!json.json().contains(kPerLayerKey)) return;
  *config = WithLayerSizes(*config, SizesIn(json, *config));
  if (config->QueryWidth() >= (int64_t{1} << 31))
    Fail(json.Where(), "{} attention heads of {} are {} wide; expected less than 2^31", config->num_heads,
         config->head_dim, config->QueryWidth());
}

}  // namespace ecld
