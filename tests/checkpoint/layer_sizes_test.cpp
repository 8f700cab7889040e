#include "checkpoint/layer_sizes.h"

#include <gtest/gtest.h>

#include "checkpoint/tensor_table.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

TEST(LayerSizes, AreThoseOfEachLayerAndReadBackEqual) {
  const ModelConfig config = ParseConfig(TinyConfigJson({.num_layers = 3, .uneven = true}), "config.json");
  EXPECT_EQ(SizesOfLayers(config)[0], (LayerSizes{96, 4, 2}));
  EXPECT_EQ(SizesOfLayers(config)[2], (LayerSizes{64, 2, 1}));
  const std::vector<TensorSpec> table = TensorTable(config);
  EXPECT_EQ(Find(table, Role::kDown, 1).shape, (std::vector<int64_t>{64, 96}));
  EXPECT_EQ(Find(table, Role::kDown, 2).shape, (std::vector<int64_t>{64, 64}));
  EXPECT_EQ(Find(table, Role::kOutput, 2).shape, (std::vector<int64_t>{64, 32}));
  EXPECT_EQ(Find(table, Role::kKey, 2).shape, (std::vector<int64_t>{16, 64}));
  const ModelConfig again = ParseConfig(ToJson(config), "config.json");
  EXPECT_EQ(SizesOfLayers(again), SizesOfLayers(config));
  EXPECT_EQ(ToJson(again), ToJson(config));
}

TEST(LayerSizes, TheConfigSaysTheLargestAndWhatDiffersFromThem) {
  const ModelConfig config = ParseConfig(TinyConfigJson({.num_layers = 3}), "config.json");
  const ModelConfig cut = WithLayerSizes(config, {{32, 4, 2}, {64, 2, 2}, {64, 4, 2}});
  const Json json = ToJson(cut);
  EXPECT_EQ(json["intermediate_size"], 64);
  EXPECT_EQ(json["per_layer_config"], ParseJson(R"({"0": {"intermediate_size": 32},
                                                    "1": {"num_attention_heads": 2}})",
                                                ""));
  const ModelConfig even = WithLayerSizes(cut, {{32, 4, 2}, {32, 4, 2}, {32, 4, 2}});
  EXPECT_FALSE(LayersDiffer(even));
  EXPECT_EQ(ToJson(even)["intermediate_size"], 32);
  EXPECT_FALSE(ToJson(even).contains("per_layer_config"));
}

TEST(LayerSizes, PaddedNumbersAndSizesAboveThatForAllAreRead) {
  Json json = TinyConfigJson({.num_layers = 3});
  json["per_layer_config"] = {{"01", {{"intermediate_size", 128}}}};
  const ModelConfig config = ParseConfig(json, "config.json");
  EXPECT_EQ(config.intermediate_size, 128);
  EXPECT_EQ(SizesOfLayers(config)[0].intermediate_size, 96);
  EXPECT_EQ(SizesOfLayers(config)[1].intermediate_size, 128);
}

TEST(LayerSizes, MistakesAreNamed) {
  const auto parse = [](const char* layers) {
    Json json = TinyConfigJson({});
    json["per_layer_config"] = ParseJson(layers, "layers");
    ParseConfig(json, "config.json");
  };
  EXPECT_ERROR(parse(R"({"2": {}})"), R"(config.json: per_layer_config: "2" is no layer; expected 0 to 1)");
  EXPECT_ERROR(parse(R"({"1x": {}})"), R"("1x" is no layer)");
  EXPECT_ERROR(parse(R"({"0": {"skip": ["mlp"]}})"),
               "config.json: per_layer_config.0.skip: differs between layers; only intermediate_size, "
               "num_attention_heads and num_key_value_heads may");
  EXPECT_ERROR(parse(R"({"0": {"intermediate_size": 0}})"), "per_layer_config.0.intermediate_size: expected 1 to");
  EXPECT_ERROR(parse(R"({"0": {"num_attention_heads": 3}})"),
               "per_layer_config.0: num_key_value_heads: 2 does not divide num_attention_heads 3");
}

}  // namespace
}  // namespace ecld
