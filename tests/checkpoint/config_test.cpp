#include "checkpoint/config.h"

#include <gmock/gmock.h>

#include <cmath>
#include <cstdlib>

#include "checkpoint/tensor_table.h"
#include "tests/testing/expect_error.h"

namespace ecld {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Json Llama() {
  return ParseJson(R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 100,
    "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "rms_norm_eps": 1e-5, "rope_theta": 500000.0, "max_position_embeddings": 128,
    "tie_word_embeddings": true, "torch_dtype": "bfloat16", "eos_token_id": [3, 4], "bos_token_id": 1})",
                   "config.json");
}

ModelConfig With(const char* key, Json value) {
  Json json = Llama();
  json[key] = std::move(value);
  return ParseConfig(json, "config.json");
}

std::vector<int64_t> Windows(const char* text) {
  Json json = Llama();
  json.merge_patch(ParseJson(text, "patch"));
  // merge_patch removes null keys, but here null has a meaning of its own.
  if (std::string_view(text).find("null") != std::string_view::npos) json["sliding_window"] = nullptr;
  return ParseConfig(json, "config.json").sliding_window;
}

TEST(Config, ReadsBothRopeStyles) {
  Json old_style = Llama();
  old_style["rope_scaling"] = {{"rope_type", "llama3"},
                               {"factor", 8.0},
                               {"low_freq_factor", 1.0},
                               {"high_freq_factor", 4.0},
                               {"original_max_position_embeddings", 8192}};
  Json new_style = Llama();
  new_style.erase("rope_theta");
  new_style["rope_parameters"] = old_style["rope_scaling"];
  new_style["rope_parameters"]["rope_theta"] = 500000.0;
  for (const Json& json : {old_style, new_style}) {
    ModelConfig config = ParseConfig(json, "config.json");
    EXPECT_EQ(config.rope_theta, 500000.0);
    EXPECT_EQ(config.rope_scaling.kind, RopeScaling::Kind::kLlama3);
    EXPECT_EQ(config.rope_scaling.factor, 8.0);
    EXPECT_EQ(config.rope_scaling.original_max_position, 8192);
  }
  EXPECT_EQ(With("rope_scaling", {{"type", "linear"}, {"factor", 2.0}}).rope_scaling.kind, RopeScaling::Kind::kLinear);
}

// As published in 2025, and as transformers 5 writes it.
Json Gemma3(bool new_style) {
  Json json = ParseJson(R"({"architectures": ["Gemma3ForCausalLM"], "model_type": "gemma3_text", "vocab_size": 100,
    "hidden_size": 60, "intermediate_size": 96, "num_hidden_layers": 8, "num_attention_heads": 3, "head_dim": 16,
    "num_key_value_heads": 1, "sliding_window": 4, "query_pre_attn_scalar": 24, "torch_dtype": "bfloat16",
    "hidden_activation": "gelu_pytorch_tanh", "attn_logit_softcapping": null})",
                        "config.json");
  if (new_style)
    json.update(ParseJson(R"({"rope_parameters": {
      "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 5e5},
      "sliding_attention": {"rope_type": "default", "rope_theta": 200}}})",
                          "rope"));
  else
    json.update(ParseJson(R"({"sliding_window_pattern": 6, "rope_theta": 5e5, "rope_local_base_freq": 200,
      "rope_scaling": {"rope_type": "linear", "factor": 8.0}})",
                          "rope"));
  return json;
}

TEST(Config, ReadsBothStylesOfGemma3) {
  for (bool new_style : {false, true}) {
    const ModelConfig config = ParseConfig(Gemma3(new_style), "config.json");
    EXPECT_EQ(config.family, Family::kGemma3);
    EXPECT_THAT(config.sliding_window, ElementsAre(4, 4, 4, 4, 4, 0, 4, 4));
    EXPECT_EQ(config.rope_theta, 5e5);
    EXPECT_EQ(config.rope_scaling.kind, RopeScaling::Kind::kLinear);
    EXPECT_EQ(config.window_rope_theta, 200);
    EXPECT_EQ(RopeKind(config, 4), 1);
    EXPECT_EQ(RopeKind(config, 5), 0);
    EXPECT_NEAR(MakeRope(config, 1, 0).frequencies[1], std::pow(5e5, -1.0 / 8) / 8, 1e-7);
    EXPECT_NEAR(MakeRope(config, 1, 1).frequencies[1], std::pow(200, -1.0 / 8), 1e-6);
    EXPECT_TRUE(config.tie_embeddings);
    EXPECT_EQ(config.QueryScalar(), 24);
    EXPECT_EQ(config.embedding_scale, 7.75) << "the square root of 60 in bfloat16";
    EXPECT_THAT(config.notes, IsEmpty());
    const Json written = ToJson(config);
    EXPECT_EQ(ToJson(ParseConfig(written, "written")), written);
    EXPECT_EQ(written["layer_types"][5], "full_attention");
  }
  Json bare = Gemma3(false);
  for (const char* key : {"rope_theta", "rope_local_base_freq", "rope_scaling", "query_pre_attn_scalar"})
    bare.erase(key);
  const ModelConfig config = ParseConfig(bare, "config.json");
  EXPECT_EQ(config.rope_theta, 1e6);
  EXPECT_EQ(config.window_rope_theta, 1e4);
  EXPECT_EQ(config.QueryScalar(), 256);
}

TEST(Config, RefusesWhatGemma3CouldAskForAndNobodyComputes) {
  const auto expect = [](const char* patch, const char* message) {
    Json json = Gemma3(true);
    json.merge_patch(ParseJson(patch, "patch"));
    EXPECT_ERROR(ParseConfig(json, "config.json"), message);
  };
  expect(R"({"hidden_activation": "silu"})",
         "hidden_activation: \"silu\" is not supported; expected gelu_pytorch_tanh");
  expect(R"({"final_logit_softcapping": 30.0})", "config.json: final_logit_softcapping");
  expect(R"({"use_bidirectional_attention": true})", "config.json: use_bidirectional_attention");
  expect(R"({"rope_parameters": {"rope_theta": 1e4}})", "config.json: rope_parameters");
  expect(R"({"rope_parameters": {"sliding_attention": {"rope_type": "linear"}}})",
         "rope type \"linear\" of layers with a window is not supported; expected default");
}

TEST(Config, SlidingWindowByFamily) {
  using W = std::vector<int64_t>;
  EXPECT_EQ(Windows(R"({"sliding_window": 8})"), (W{0, 0})) << "Llama has none";
  EXPECT_EQ(Windows(R"({"model_type": "mistral", "sliding_window": 8})"), (W{8, 8}));
  EXPECT_EQ(Windows(R"({"model_type": "mistral"})"), (W{4096, 4096})) << "the default where the key is absent";
  EXPECT_EQ(Windows(R"({"model_type": "mistral", "sliding_window": null})"), (W{0, 0}));
  EXPECT_EQ(Windows(R"({"model_type": "qwen2", "sliding_window": 8, "max_window_layers": 1})"), (W{0, 0}));
  EXPECT_EQ(
      Windows(R"({"model_type": "qwen2", "sliding_window": 8, "max_window_layers": 1, "use_sliding_window": true})"),
      (W{0, 8}));
  EXPECT_EQ(Windows(R"({"model_type": "qwen3", "sliding_window": 8, "use_sliding_window": true,
                        "layer_types": ["sliding_attention", "full_attention"]})"),
            (W{8, 0}));
}

TEST(Config, BiasesNormsAndHeadSizesByFamily) {
  EXPECT_FALSE(With("model_type", "llama").qkv_bias);
  EXPECT_TRUE(With("attention_bias", true).o_bias);
  EXPECT_TRUE(With("model_type", "qwen2").qkv_bias);
  EXPECT_FALSE(With("model_type", "qwen2").o_bias);
  EXPECT_TRUE(With("model_type", "qwen3").qk_norm);
  EXPECT_EQ(With("model_type", "qwen3").head_dim, 128);
  EXPECT_EQ(With("head_dim", 32).QueryWidth(), 128) << "not hidden_size";
  EXPECT_EQ(With("model_type", "mistral").head_dim, 16);
}

TEST(Config, FamilyIsModelTypeOrElseTheClass) {
  for (const char* name : {"Qwen3ForCausalLM", "Qwen3Model"}) {
    Json json = Llama();
    json.erase("model_type");
    json["architectures"] = {name};
    const ModelConfig config = ParseConfig(json, "config.json");
    EXPECT_EQ(config.family, Family::kQwen3);
    EXPECT_THAT(config.notes, ElementsAre(HasSubstr("model_type is absent")));
    EXPECT_EQ(ToJson(config)["model_type"], "qwen3");
  }
  EXPECT_THAT(With("architectures", {"MistralForCausalLM"}).notes,
              ElementsAre("architectures names MistralForCausalLM; what is read is a LlamaForCausalLM, as model_type "
                          "says"));
  EXPECT_THAT(With("architectures", {"LlamaModel"}).notes, IsEmpty());
}

TEST(Config, TheLanguageModelOfALargerOneIsRead) {
  Json text = Llama();
  text.erase("tie_word_embeddings");
  const Json larger = {{"model_type", "llava"}, {"tie_word_embeddings", true}, {"text_config", text}};
  const ModelConfig config = ParseConfig(larger, "config.json");
  EXPECT_EQ(config.hidden_size, 64);
  EXPECT_TRUE(config.tie_embeddings);
  EXPECT_THAT(config.notes, ElementsAre(HasSubstr("the language model alone is read, as text_config says")));
  EXPECT_EQ(ToJson(config)["model_type"], "llama");
  text.erase("hidden_size");
  EXPECT_ERROR(ParseConfig({{"model_type", "llava"}, {"text_config", text}}, "config.json"),
               "config.json: text_config: key \"hidden_size\" is missing");
  EXPECT_ERROR(ParseConfig({{"model_type", "llava"}, {"text_config", {{"model_type", "opt"}}}}, "config.json"),
               "architecture \"llava\" is not supported");
}

TEST(Config, DTypeByItsNames) {
  EXPECT_EQ(With("torch_dtype", "torch.float32").dtype, DType::kF32);
  EXPECT_EQ(With("torch_dtype", "half").dtype, DType::kF16);
  EXPECT_EQ(With("torch_dtype", "auto").dtype, DType::kBF16) << "until the weights are seen";
  const ModelConfig both = With("dtype", "float16");
  EXPECT_EQ(both.dtype, DType::kF16);
  EXPECT_THAT(both.notes, ElementsAre("dtype says float16 and torch_dtype bfloat16; dtype is taken"));
  EXPECT_EQ(ToJson(both)["torch_dtype"], "float16") << "the two agree from then on";
}

TEST(Config, WhatIsAbsentIsTheFamilysDefault) {
  Json json = Llama();
  for (const char* key : {"num_key_value_heads", "max_position_embeddings"}) json.erase(key);
  EXPECT_EQ(ParseConfig(json, "c").num_kv_heads, 4);
  EXPECT_EQ(ParseConfig(json, "c").max_position, 2048);
  json["model_type"] = "mistral";
  EXPECT_ERROR(ParseConfig(json, "c"),
               "num_key_value_heads: 8 does not divide num_attention_heads 4 (the key is absent");
  json["num_attention_heads"] = 16;
  EXPECT_EQ(ParseConfig(json, "c").num_kv_heads, 8);
  EXPECT_EQ(ParseConfig(json, "c").max_position, 131072);
  json["num_key_value_heads"] = nullptr;
  EXPECT_EQ(ParseConfig(json, "c").num_kv_heads, 16);
}

TEST(Config, LayerTypesDecideAndNeedAWindow) {
  Json json = Llama();
  json.erase("architectures");
  json.merge_patch(ParseJson(R"({"model_type": "qwen2", "sliding_window": 8, "use_sliding_window": true,
                                 "max_window_layers": 2, "layer_types": ["attention", "sliding_attention"]})",
                             "patch"));
  const ModelConfig config = ParseConfig(json, "config.json");
  EXPECT_EQ(config.sliding_window, (std::vector<int64_t>{0, 8}));
  EXPECT_THAT(config.notes, ElementsAre(HasSubstr("layer_types is taken")));
  json["use_sliding_window"] = false;
  EXPECT_ERROR(ParseConfig(json, "c"),
               "layer_types[1]: is sliding_attention, but there is no window; expected sliding_window, and "
               "use_sliding_window true");
  json["layer_types"] = {"full_attention", "full_attention"};
  EXPECT_THAT(ParseConfig(json, "c").notes, IsEmpty());
  json["layer_types"] = {"full_attention"};
  EXPECT_ERROR(ParseConfig(json, "c"), "has 1 entries for 2 layers");
}

TEST(Config, RewriteKeepsEveryForeignKeyAndReadsBackEqual) {
  Json json = Llama();
  json["some_key_of_another_tool"] = {{"x", 1}};
  ModelConfig config = ParseConfig(json, "config.json");
  config.intermediate_size = 64;
  config.quantization = QuantizationConfig{
      {{"group_0", {"Linear"}, {4, 32, true}}, {"group_1", {"re:.*down_proj"}, {8, 0, false}}}, {"lm_head"}};
  Json written = ToJson(config);
  EXPECT_EQ(written["some_key_of_another_tool"]["x"], 1);
  EXPECT_EQ(written["intermediate_size"], 64);
  ModelConfig back = ParseConfig(written, "written");
  EXPECT_EQ(ToJson(back).dump(), written.dump());
  EXPECT_EQ(back.eos_ids, (std::vector<int64_t>{3, 4}));
  ASSERT_TRUE(back.quantization);
  EXPECT_EQ(back.quantization->FormatOf("model.layers.0.mlp.up_proj", "Linear"), (PackedFormat{4, 32, true}));
  EXPECT_EQ(back.quantization->FormatOf("model.layers.0.mlp.down_proj", "Linear"), (PackedFormat{8, 0, false}));
  EXPECT_EQ(back.quantization->FormatOf("lm_head", "Linear"), std::nullopt);
  EXPECT_EQ(back.quantization->FormatOf("model.embed_tokens", "Embedding"), std::nullopt);
}

TEST(Config, MistakesAreNamed) {
  EXPECT_ERROR(With("model_type", "mixtral"), "config.json: model_type: architecture \"mixtral\" is not supported");
  EXPECT_ERROR(With("model_type", "lama"), "did you mean llama?");
  EXPECT_ERROR(With("hidden_size", "64"), "hidden_size: expected an integer, found \"64\"");
  EXPECT_ERROR(With("hidden_size", 0), "hidden_size: expected 1 to 2^31 - 1, found 0");
  EXPECT_ERROR(With("num_hidden_layers", 20000), "num_hidden_layers");
  EXPECT_ERROR(With("num_key_value_heads", 3), "num_key_value_heads: 3 does not divide num_attention_heads 4");
  EXPECT_ERROR(With("num_attention_heads", 6), "hidden_size 64 is not a multiple of num_attention_heads 6");
  EXPECT_ERROR(With("head_dim", 15), "head_dim 15 is odd");
  EXPECT_ERROR(With("head_dim", 1 << 30), "4 attention heads of 1073741824 are 4294967296 wide");
  EXPECT_EQ(With("hidden_act", "swish").hidden_size, 64) << "another name of silu";
  EXPECT_ERROR(With("hidden_act", "gelu"), "\"gelu\" is not supported; expected silu");
  EXPECT_ERROR(With("rope_scaling", {{"rope_type", "linear"}}), "rope_scaling: key \"factor\" is missing");
  EXPECT_ERROR(With("torch_dtype", "int8"), "weight type \"int8\" is not supported");
  EXPECT_ERROR(With("partial_rotary_factor", 0.5), "partial_rotary_factor 0.5 is not supported");
  Json json = Llama();
  json.erase("vocab_size");
  EXPECT_ERROR(ParseConfig(json, "config.json"), "key \"vocab_size\" is missing");
}

TEST(QuantizationConfig, MistakesAreNamed) {
  Json good = ToJson(QuantizationConfig{{{"group_0", {"Linear"}, {4, 128, true}}}, {}});
  auto with = [&](const char* pointer, Json value) {
    Json json = good;
    json[Json::json_pointer(pointer)] = std::move(value);
    return With("quantization_config", json);
  };
  EXPECT_ERROR(with("/quant_method", "eetq"), "quantization_config.quant_method: \"eetq\" is not supported");
  EXPECT_ERROR(with("/format", "dense"), "expected \"pack-quantized\"");
  EXPECT_ERROR(with("/config_groups/group_0/weights/num_bits", 9), "expected 1 to 8, found 9");
  EXPECT_ERROR(with("/config_groups/group_0/weights/group_size", -3), "group_size");
  EXPECT_ERROR(with("/config_groups/group_0/weights/strategy", "token"), "expected \"group\", \"channel\"");
  const Json bytes = {
      {"config_groups", {{"a", {{"targets", {"Linear"}}, {"format", "int-quantized"}, {"weights", Json::object()}}}}}};
  EXPECT_ERROR(ParseQuantizationConfig(JsonView(bytes, "config.json")), "holds formats that ECLD does not write");
  EXPECT_ERROR(with("/ignore", Json::array({"re:("})), "is not a regular expression");
}

std::filesystem::path SharedModels() {
  const char* root = std::getenv("ECLD_TEST_DATA");
  return root ? std::filesystem::path(root) / "models" : std::filesystem::path();
}

TEST(RealConfigs, NoFieldOfTheFourFamiliesIsUnknown) {
  if (SharedModels().empty()) GTEST_SKIP() << "ECLD_TEST_DATA is not set";
  for (const char* name : {"meta-llama--Meta-Llama-3.1-8B_config.json", "Qwen--Qwen3-8B_config.json",
                           "Mistral-7B-v0.1.config.json", "Mistral-Nemo-Base-2407.config.json"})
    EXPECT_THAT(ReadConfig(SharedModels() / "configs" / name).notes, IsEmpty()) << name;
}

// Parameter counts as the checkpoints' own model cards and index files give them.
TEST(RealConfigs, ParameterCounts) {
  if (SharedModels().empty()) GTEST_SKIP() << "ECLD_TEST_DATA is not set";
  auto count = [](const char* name) { return ParameterCount(ReadConfig(SharedModels() / "configs" / name)); };
  EXPECT_EQ(count("meta-llama--Meta-Llama-3.1-8B_config.json"), 8030261248u);
  EXPECT_EQ(count("meta-llama--Meta-Llama-3.1-70B_config.json"), 70553706496u);
  EXPECT_EQ(count("Qwen--Qwen3-8B_config.json"), 8190735360u);
  EXPECT_EQ(count("Qwen--Qwen3-0.6B_config.json"), 596049920u);
  EXPECT_EQ(count("Mistral-7B-v0.1.config.json"), 7241732096u);
  EXPECT_EQ(count("Mistral-Nemo-Base-2407.config.json"), 12247782400u);
  EXPECT_EQ(count("executorch-Llama-3.2-1B-Instruct.config.json"), 1235814400u);
  EXPECT_EQ(count("executorch-Qwen2.5-0.5B-Instruct.config.json"), 494032768u);
  EXPECT_ERROR(count("mistralai--Mixtral-8x7B-v0.1_config.json"), "\"mixtral\" is not supported");
  EXPECT_ERROR(count("Qwen--Qwen3-30B-A3B_config.json"), "is not supported");
}

}  // namespace
}  // namespace ecld
