#include "checkpoint/features.h"

#include <algorithm>
#include <vector>

#include "checkpoint/layer_sizes.h"
#include "core/error.h"

namespace ecld {
namespace {

struct Row {
  Feature feature;
  std::string_view name;
  bool (*has)(const ModelConfig&);
};

template <RopeScaling::Kind kind>
bool HasRope(const ModelConfig& config) {
  return config.rope_scaling.kind == kind;
}

constexpr Row kRows[] = {
    {Feature::kQueryKeyValueBias, "biases of q, k and v", [](const ModelConfig& c) { return c.qkv_bias; }},
    {Feature::kOutputBias, "a bias of o", [](const ModelConfig& c) { return c.o_bias; }},
    {Feature::kMlpBias, "biases in the feed-forward layer", [](const ModelConfig& c) { return c.mlp_bias; }},
    {Feature::kHeadNorms, "norms of queries and keys", [](const ModelConfig& c) { return c.qk_norm; }},
    {Feature::kWindows, "layers that attend to a window",
     [](const ModelConfig& c) { return std::ranges::any_of(c.sliding_window, [](int64_t w) { return w > 0; }); }},
    {Feature::kRopeLinear, "rope type \"linear\"", HasRope<RopeScaling::Kind::kLinear>},
    {Feature::kRopeLlama3, "rope type \"llama3\"", HasRope<RopeScaling::Kind::kLlama3>},
    {Feature::kRopeYarn, "rope type \"yarn\"", HasRope<RopeScaling::Kind::kYarn>},
    {Feature::kRopeDynamic, "rope type \"dynamic\"", HasRope<RopeScaling::Kind::kDynamic>},
    {Feature::kRopeLongRope, "rope type \"longrope\"", HasRope<RopeScaling::Kind::kLongRope>},
    {Feature::kRopeOfWindows, "a rope of their own for layers with a window",
     [](const ModelConfig& c) { return RopeKinds(c) > 1; }},
    {Feature::kGelu, "a gate by gelu", [](const ModelConfig& c) { return c.activation == Activation::kGelu; }},
    {Feature::kOutputNorms, "norms behind attention and the feed-forward layer",
     [](const ModelConfig& c) { return c.output_norms; }},
    {Feature::kEmbeddingScale, "a scaled embedding", [](const ModelConfig& c) { return c.embedding_scale != 1; }},
    {Feature::kLayerSizes, "layers of different sizes", LayersDiffer},
    {Feature::kQueryScalar, "scores scaled by query_pre_attn_scalar",
     [](const ModelConfig& c) { return c.query_scalar > 0; }},
};

}  // namespace

void RequireTaught(const ModelConfig& config, std::span<const Feature> taught, const std::string& where,
                   std::string_view who) {
  std::vector<std::string_view> missing;
  for (const Row& row : kRows)
    if (row.has(config) && std::ranges::find(taught, row.feature) == taught.end()) missing.push_back(row.name);
  if (!missing.empty())
    Fail(where, "this {} model has {}; {} cannot compute that", Name(config.family), fmt::join(missing, ", "), who);
}

}  // namespace ecld
