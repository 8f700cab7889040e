#include "tests/testing/tiny_checkpoint.h"

#include <cmath>
#include <string>
#include <vector>

#include "checkpoint/checkpoint_writer.h"
#include "checkpoint/tensor_table.h"
#include "core/random.h"

namespace ecld {
namespace {

const char* DTypeKey(DType dtype) {
  return dtype == DType::kF32 ? "float32" : dtype == DType::kF16 ? "float16" : "bfloat16";
}

// Small enough numbers that a short text already runs through all of the scaling's branches.
Json RopeObject(const TinyOptions& options, int64_t head_dim) {
  constexpr int64_t kOriginal = 64;
  const auto divisors = [&](double first, double step) {
    Json list = Json::array();
    for (int64_t i = 0; i < head_dim / 2; ++i) list.push_back(first + step * static_cast<double>(i));
    return list;
  };
  switch (options.rope_scaling) {
    case RopeScaling::Kind::kNone:
      return nullptr;
    case RopeScaling::Kind::kLinear:
      return {{"rope_type", "linear"}, {"factor", 2.5}};
    case RopeScaling::Kind::kLlama3:
      return {{"rope_type", "llama3"},
              {"factor", 8.0},
              {"low_freq_factor", 1.0},
              {"high_freq_factor", 4.0},
              {"original_max_position_embeddings", kOriginal}};
    case RopeScaling::Kind::kYarn:
      return {{"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", kOriginal}};
    case RopeScaling::Kind::kDynamic:
      return {{"rope_type", "dynamic"}, {"factor", 4.0}};
    case RopeScaling::Kind::kLongRope:
      return {{"rope_type", "longrope"},
              {"factor", 8.0},
              {"short_factor", divisors(1, 0.25)},
              {"long_factor", divisors(1.5, 0.75)},
              {"original_max_position_embeddings", kOriginal}};
  }
  return nullptr;
}

void PutRope(const TinyOptions& options, Json* json) {
  constexpr double kTheta = 10000;
  const Json scaling = RopeObject(options, (*json)["head_dim"].get<int64_t>());
  if (options.rope_parameters) {
    Json parameters = scaling.is_null() ? Json{{"rope_type", "default"}} : scaling;
    parameters["rope_theta"] = kTheta;
    (*json)["rope_parameters"] = parameters;
  } else {
    (*json)["rope_theta"] = kTheta;
    (*json)["rope_scaling"] = scaling;
  }
}

void PutFamily(const TinyOptions& options, Json* json) {
  const bool window = options.sliding_window > 0;
  switch (options.family) {
    case Family::kLlama:
      (*json)["architectures"] = {"LlamaForCausalLM"};
      (*json)["attention_bias"] = options.bias;
      (*json)["mlp_bias"] = options.bias;
      break;
    case Family::kQwen2:
    case Family::kQwen3:
      (*json)["architectures"] = {options.family == Family::kQwen2 ? "Qwen2ForCausalLM" : "Qwen3ForCausalLM"};
      (*json)["use_sliding_window"] = window;
      (*json)["sliding_window"] = window ? Json(options.sliding_window) : Json(nullptr);
      (*json)["max_window_layers"] = 1;
      if (options.family == Family::kQwen3) (*json)["attention_bias"] = options.bias;
      break;
    case Family::kMistral:
      (*json)["architectures"] = {"MistralForCausalLM"};
      (*json)["sliding_window"] = window ? Json(options.sliding_window) : Json(nullptr);
      break;
    case Family::kGemma3: {
      (*json)["architectures"] = {"Gemma3ForCausalLM"};
      json->erase("hidden_act");
      (*json)["hidden_activation"] = "gelu_pytorch_tanh";
      (*json)["query_pre_attn_scalar"] = 24;
      (*json)["sliding_window"] = window ? options.sliding_window : 8;
      (*json)["attention_bias"] = options.bias;
      Json types = Json::array();  // every other layer
      for (int64_t layer = 0; layer < options.num_layers; ++layer)
        types.push_back(layer % 2 == 0 ? "sliding_attention" : "full_attention");
      (*json)["layer_types"] = types;
      if (options.rope_parameters)
        (*json)["rope_parameters"] = {{"full_attention", (*json)["rope_parameters"]},
                                      {"sliding_attention", {{"rope_type", "default"}, {"rope_theta", 100.0}}}};
      else
        (*json)["rope_local_base_freq"] = 100.0;
      break;
    }
  }
}

// Matrices keep the scale of their input, the head too, so that logits have a spread near 1; norms spread around 1.
std::vector<float> Values(const TensorSpec& spec, const ModelConfig& config, Random* random) {
  double center = 0, spread = 0.1;
  if (spec.matrix()) {
    const bool read_only = spec.role == Role::kEmbedding && !config.tie_embeddings;
    spread = read_only ? 1 / config.embedding_scale : 1 / std::sqrt(static_cast<double>(spec.shape[1]));
  } else if (!spec.bias) {
    center = 1;
    spread = 0.2;
  }
  std::vector<float> values(static_cast<size_t>(spec.Elements()));
  for (float& value : values) value = static_cast<float>(center + spread * random->Normal());
  return values;
}

}  // namespace

Json TinyConfigJson(const TinyOptions& options) {
  Json json = {{"model_type", Name(options.family)},
               {"hidden_act", "silu"},
               {"hidden_size", options.hidden_size},
               {"intermediate_size", options.intermediate_size},
               {"num_hidden_layers", options.num_layers},
               {"num_attention_heads", options.num_heads},
               {"num_key_value_heads", options.num_kv_heads},
               {"head_dim", options.head_dim > 0 ? options.head_dim : options.hidden_size / options.num_heads},
               {"vocab_size", options.vocab_size},
               {"max_position_embeddings", options.max_position},
               {"rms_norm_eps", 1e-5},
               {"initializer_range", 0.02},
               {"attention_dropout", 0.0},
               {"tie_word_embeddings", options.tied},
               {"torch_dtype", DTypeKey(options.dtype)},
               {"use_cache", true},
               {"bos_token_id", 0},
               {"eos_token_id", 2}};
  PutRope(options, &json);
  PutFamily(options, &json);
  if (options.uneven)
    json["per_layer_config"][std::to_string(options.num_layers - 1)] = {
        {"intermediate_size", options.intermediate_size * 2 / 3},
        {"num_attention_heads", options.num_heads / 2},
        {"num_key_value_heads", options.num_kv_heads / 2}};
  return json;
}

ModelConfig WriteTinyCheckpoint(const std::filesystem::path& directory, const TinyOptions& options) {
  const Json json = TinyConfigJson(options);
  const ModelConfig config = ParseConfig(json, "tiny config");
  // No tensor is more than a third of the model, so this much for each shard makes two.
  CheckpointWriter writer(directory, config, WeightFileBytes(config) * 13 / 20);
  Random random(options.seed);
  for (const TensorSpec& spec : writer.table()) writer.WriteFloats(spec, Values(spec, config, &random));
  writer.Finish(directory);
  WriteJsonFile(directory / "config.json", json);  // as the family writes it, not as ECLD would
  WriteTinyTokenizer(directory);
  return config;
}

}  // namespace ecld
