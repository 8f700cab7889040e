#pragma once
// A model whose blocks differ in size, as config.json says it: transformers' per_layer_config, an object of the layers
// that differ from what the config says for all, by their numbers, with intermediate_size, num_attention_heads and
// num_key_value_heads. Anything else that one of them says is refused by name. It stays in ModelConfig::source, and is
// read there; what the config itself says are the largest sizes of any block.

#include <vector>

#include "checkpoint/config.h"

namespace ecld {

inline constexpr const char* kPerLayerKey = "per_layer_config";

// Of one decoder block.
struct LayerSizes {
  int64_t intermediate_size = 0;
  int64_t num_heads = 0;  // query heads; a multiple of num_kv_heads
  int64_t num_kv_heads = 0;
  friend bool operator==(const LayerSizes&, const LayerSizes&) = default;
};

// [num_layers]
std::vector<LayerSizes> SizesOfLayers(const ModelConfig& config);
bool LayersDiffer(const ModelConfig& config);

// The same model with blocks of these sizes, one for each.
ModelConfig WithLayerSizes(const ModelConfig& config, const std::vector<LayerSizes>& sizes);

// For ParseConfig, once the sizes for all are read. THROWS Error with file and key path.
void ReadLayerSizes(const JsonView& json, ModelConfig* config);

}  // namespace ecld
