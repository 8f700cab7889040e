#include "checkpoint/config.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "checkpoint/generation_config.h"
#include "checkpoint/layer_sizes.h"
#include "checkpoint/layer_windows.h"
#include "checkpoint/model_fields.h"
#include "core/error.h"
#include "core/files.h"

namespace ecld {
namespace {

// What differs between the families, beside what every config says for itself.
struct FamilyRow {
  Family family;
  std::string_view model_type;
  std::string_view architecture;
  bool qkv_bias;  // always, without a key in the config
  bool bias_key;  // "attention_bias" is honoured for q, k, v and o
  bool qk_norm;
  // What transformers takes where the key is absent:
  int64_t head_dim;  // 0: hidden_size / num_heads
  int64_t kv_heads;  // 0: num_heads, which null says too
  int64_t max_position;
  bool tied = false;
  bool is_gemma = false;
};

constexpr std::array kFamilies = {
    FamilyRow{Family::kLlama, "llama", "LlamaForCausalLM", false, true, false, 0, 0, 2048},
    FamilyRow{Family::kQwen2, "qwen2", "Qwen2ForCausalLM", true, false, false, 0, 32, 32768},
    FamilyRow{Family::kQwen3, "qwen3", "Qwen3ForCausalLM", false, true, true, 128, 32, 32768},
    FamilyRow{Family::kMistral, "mistral", "MistralForCausalLM", false, false, false, 0, 8, 131072},
    FamilyRow{Family::kGemma3, "gemma3_text", "Gemma3ForCausalLM", false, true, true, 256, 4, 131072, true, true},
};

const FamilyRow& Row(Family family) { return kFamilies[static_cast<size_t>(family)]; }

std::vector<std::string> ReadArchitectures(const JsonView& json) {
  std::vector<std::string> names;
  if (!json.Has("architectures")) return names;
  const JsonView list = json.At("architectures");
  for (size_t i = 0; i < list.Size(); ++i) names.push_back(list.At(i).String());
  return names;
}

// Of the class with the head, or of the decoder alone ("LlamaModel").
bool IsClassOf(const FamilyRow& row, std::string_view name) {
  constexpr std::string_view kHeadClass = "ForCausalLM", kDecoderClass = "Model";
  const std::string_view stem = row.architecture.substr(0, row.architecture.size() - kHeadClass.size());
  return name == row.architecture || (name.starts_with(stem) && name.substr(stem.size()) == kDecoderClass);
}

// model_type decides, as in transformers; where it is absent, the class that "architectures" names.
const FamilyRow& ReadFamily(const JsonView& json, std::vector<std::string>* notes) {
  const std::vector<std::string> classes = ReadArchitectures(json);
  if (!json.Has("model_type") && classes.size() == 1)
    for (const auto& row : kFamilies)
      if (IsClassOf(row, classes[0])) {
        notes->push_back(
            fmt::format("model_type is absent; {} of architectures is read as {}", classes[0], row.model_type));
        return row;
      }
  std::string type = json.At("model_type").String();
  std::vector<std::string> known;
  for (const auto& row : kFamilies) {
    known.emplace_back(row.model_type);
    if (row.model_type != type) continue;
    for (const std::string& name : classes)
      if (!IsClassOf(row, name))
        notes->push_back(
            fmt::format("architectures names {}; what is read is a {}, as model_type says", name, row.architecture));
    return row;
  }
  Fail(json.At("model_type").Where(), "architecture \"{}\" is not supported{}", type, DidYouMean(type, known));
}

bool IsFamily(const Json& config) {
  const auto type = config.find("model_type");
  return type != config.end() &&
         std::ranges::any_of(kFamilies, [&](const FamilyRow& row) { return *type == row.model_type; });
}

// The language model of a larger one (images, sounds) whose config holds it as one of these families; else nothing.
std::optional<Json> TextConfig(const Json& config, const std::string& where) {
  const auto inner = config.find("text_config");
  if (inner == config.end() || !inner->is_object() || IsFamily(config) || !IsFamily(*inner)) return std::nullopt;
  Json text = *inner;
  if (config.contains("quantization_config") &&
      inner->value("quantization_config", config["quantization_config"]) != config["quantization_config"])
    Fail(where,
         "text_config.quantization_config differs from quantization_config, and one of the two is wrong; keep one");
  // What is said once for the whole model.
  for (const char* key :
       {"tie_word_embeddings", "dtype", "torch_dtype", "bos_token_id", "eos_token_id", "quantization_config"})
    if (!text.contains(key) && config.contains(key)) text[key] = config[key];
  return text;
}

int64_t Size(const JsonView& json, const char* key) {
  int64_t value = json.At(key).Int();
  // 2^31 a side keeps the elements of a matrix inside int64.
  if (value < 1 || value >= (int64_t{1} << 31)) Fail(json.At(key).Where(), "expected 1 to 2^31 - 1, found {}", value);
  return value;
}

double Positive(const JsonView& json, const char* key, double fallback) {
  double value = json.NumberOr(key, fallback);
  if (!(value > 0) || value > 1e30) Fail(json.At(key).Where(), "expected a positive number, found {}", value);
  return value;
}

// "torch.float32" is how some programs print a type, "float" and "half" are names that torch has for two of them.
std::optional<DType> DTypeOf(std::string_view name) {
  if (name.starts_with("torch.")) name.remove_prefix(6);
  if (name == "float32" || name == "float") return DType::kF32;
  if (name == "float16" || name == "half") return DType::kF16;
  if (name == "bfloat16") return DType::kBF16;
  return std::nullopt;
}

// "auto" and absent: what the weights are stored as, which Checkpoint::Open sees; bfloat16 until then.
DType ReadDType(const JsonView& json, std::vector<std::string>* notes) {
  const char* key = json.Has("dtype") ? "dtype" : "torch_dtype";
  const std::string name = json.StringOr(key, "auto");
  const std::optional<DType> dtype = name == "auto" ? DType::kBF16 : DTypeOf(name);
  if (!dtype)
    Fail(json.At(key).Where(), "weight type \"{}\" is not supported; expected float32, float16 or bfloat16", name);
  if (const std::string other = json.StringOr("torch_dtype", name); DTypeOf(other) != DTypeOf(name))
    notes->push_back(fmt::format("dtype says {} and torch_dtype {}; dtype is taken", name, other));
  return *dtype;
}

constexpr const char* kGelu = "gelu_pytorch_tanh";

void ReadActivation(const JsonView& json, bool is_gemma, ModelConfig* config) {
  const char* key = is_gemma ? "hidden_activation" : "hidden_act";
  const std::string name = json.StringOr(key, is_gemma ? kGelu : "silu");
  const bool silu = name == "silu" || name == "swish";  // two names of one function
  if (is_gemma ? name != kGelu : !silu)
    Fail(json.At(key).Where(), "\"{}\" is not supported; expected {}", name, is_gemma ? kGelu : "silu");
  if (is_gemma) config->activation = Activation::kGelu;
  if (is_gemma && json.Has("hidden_act") && json.At("hidden_act").String() != name)
    config->notes.push_back(
        fmt::format("hidden_act is {}; hidden_activation holds, as in transformers", json.At("hidden_act").String()));
}

// Gemma multiplies the embedding by the square root of its width, rounded to the type that the weights are loaded in.
double EmbeddingScale(const ModelConfig& config) {
  const auto root = static_cast<float>(std::sqrt(static_cast<double>(config.hidden_size)));
  std::byte bytes[sizeof(float)];
  float rounded;
  FromFloat(config.dtype, &root, 1, bytes);
  ToFloat(config.dtype, bytes, 1, &rounded);
  return rounded;
}

void ReadGemma(const JsonView& json, ModelConfig* config) {
  config->norms_add_one = config->output_norms = true;
  config->query_scalar = Positive(json, "query_pre_attn_scalar", 256);
  config->embedding_scale = EmbeddingScale(*config);
}

void CheckHeads(const JsonView& json, const ModelConfig& config) {
  if (config.num_heads % config.num_kv_heads != 0)
    Fail(json.Where(), "num_key_value_heads: {} does not divide num_attention_heads {}{}", config.num_kv_heads,
         config.num_heads, json.Has("num_key_value_heads") ? "" : " (the key is absent; this is the family's default)");
  if (config.QueryWidth() >= (int64_t{1} << 31))
    Fail(json.Where(), "{} attention heads of {} are {} wide; expected less than 2^31", config.num_heads,
         config.head_dim, config.QueryWidth());
  if (config.head_dim % 2 != 0)
    Fail(json.Where(), "head_dim {} is odd; rotary embedding needs an even one", config.head_dim);
}

Allocation ReadAllocation(const JsonView& json) {
  const int64_t bytes = json.At("weights_B").Int();
  if (bytes < 0) Fail(json.At("weights_B").Where(), "expected a number of bytes, found {}", bytes);
  return {ParseQuantizationConfig(json.At("formats")), static_cast<uint64_t>(bytes)};
}

// "compression_config" is what the key was called at first.
constexpr const char* kOldQuantizationKey = "compression_config";

void ReadQuantization(const JsonView& json, ModelConfig* config) {
  const char* key = json.Has("quantization_config") ? "quantization_config" : kOldQuantizationKey;
  if (!json.Has(key)) return;
  if (json.Has(kOldQuantizationKey) && json.At(kOldQuantizationKey).json() != json.At(key).json())
    Fail(json.At(kOldQuantizationKey).Where(),
         "differs from quantization_config, and one of the two is wrong; keep one");
  config->foreign = ParseForeignConfig(json.At(key));
  config->quantization = config->foreign->Native();
}

std::string_view DTypeName(DType dtype) {
  return dtype == DType::kF32 ? "float32" : dtype == DType::kF16 ? "float16" : "bfloat16";
}

// Keys that a config needs and that no pass changes: written only where the source lacks them, so that a source's own
// style (rope_parameters or rope_theta, one eos id or a list) survives a rewrite.
void WriteIfAbsent(const ModelConfig& c, Json* json) {
  auto put = [&](const char* key, Json value) {
    if (!json->contains(key)) (*json)[key] = std::move(value);
  };
  const FamilyRow& row = Row(c.family);
  put("architectures", {row.architecture});
  put("model_type", row.model_type);
  if (row.is_gemma) {
    put("hidden_activation", kGelu);
    put("query_pre_attn_scalar", c.query_scalar);
    put("layer_types", Json::array());  // of which ToJson makes those of the layers
  } else {
    put("hidden_act", "silu");
  }
  put("rms_norm_eps", c.rms_norm_eps);
  put("max_position_embeddings", c.max_position);
  WriteRope(c, json);
  int64_t window = c.sliding_window.empty() ? 0 : *std::max_element(c.sliding_window.begin(), c.sliding_window.end());
  if (c.family == Family::kMistral || row.is_gemma) put("sliding_window", window > 0 ? Json(window) : Json(nullptr));
  if (row.bias_key) put("attention_bias", c.qkv_bias);
  if (c.family == Family::kLlama) put("mlp_bias", c.mlp_bias);
  auto ids = [](const std::vector<int64_t>& list) { return list.size() == 1 ? Json(list[0]) : Json(list); };
  if (!c.bos_ids.empty()) put("bos_token_id", ids(c.bos_ids));
  if (!c.eos_ids.empty()) put("eos_token_id", ids(c.eos_ids));
}

}  // namespace

std::string_view Name(Family family) { return Row(family).model_type; }

ModelConfig ParseConfig(const Json& source, const std::string& where) {
  JsonView json(source, where);
  if (source.is_object())
    if (const auto text = TextConfig(source, where)) {
      ModelConfig config = ParseConfig(*text, where + ": text_config");
      config.notes.push_back(
          fmt::format("the language model alone is read, as text_config says; the rest of the {} is not",
                      source.value("model_type", Json("larger model")).dump()));
      return config;
    }
  ModelConfig config;
  const FamilyRow& row = ReadFamily(json, &config.notes);
  config.source = source;
  config.family = row.family;
  for (std::string& note : ConfigNotes(json, row.family)) config.notes.push_back(std::move(note));
  config.vocab_size = Size(json, "vocab_size");
  config.hidden_size = Size(json, "hidden_size");
  config.intermediate_size = Size(json, "intermediate_size");
  config.num_layers = Size(json, "num_hidden_layers");
  if (config.num_layers > 10000) Fail(json.At("num_hidden_layers").Where(), "{} layers", config.num_layers);
  config.num_heads = Size(json, "num_attention_heads");
  config.num_kv_heads = json.Has("num_key_value_heads") ? Size(json, "num_key_value_heads") : config.num_heads;
  if (!source.contains("num_key_value_heads") && row.kv_heads > 0) config.num_kv_heads = row.kv_heads;
  if (json.Has("head_dim"))
    config.head_dim = Size(json, "head_dim");
  else if (row.head_dim > 0)
    config.head_dim = row.head_dim;
  else if (config.hidden_size % config.num_heads == 0)
    config.head_dim = config.hidden_size / config.num_heads;
  else
    Fail(json.Where(), "hidden_size {} is not a multiple of num_attention_heads {} and head_dim is not given",
         config.hidden_size, config.num_heads);
  CheckHeads(json, config);
  ReadLayerSizes(json, &config);
  config.max_position = json.Has("max_position_embeddings") ? Size(json, "max_position_embeddings") : row.max_position;
  config.rms_norm_eps = Positive(json, "rms_norm_eps", 1e-6);
  ReadActivation(json, row.is_gemma, &config);
  if (row.is_gemma) {
    config.rope_theta = 1e6;
    config.window_rope_theta = 1e4;
  }
  ReadRope(json, &config);
  config.sliding_window = ReadSlidingWindow(json, config.family, config.num_layers, &config.notes);
  config.tie_embeddings = json.BoolOr("tie_word_embeddings", row.tied);
  bool attention_bias = row.bias_key && json.BoolOr("attention_bias", false);
  config.qkv_bias = row.qkv_bias || attention_bias;
  config.o_bias = attention_bias;
  config.mlp_bias = config.family == Family::kLlama && json.BoolOr("mlp_bias", false);
  config.qk_norm = row.qk_norm;
  config.dtype = ReadDType(json, &config.notes);
  if (row.is_gemma) ReadGemma(json, &config);
  config.bos_ids = ReadTokenIds(json, "bos_token_id", config.vocab_size);
  config.eos_ids = ReadTokenIds(json, "eos_token_id", config.vocab_size);
  ReadQuantization(json, &config);
  if (json.Has(kAllocationKey) && !config.quantization) config.allocation = ReadAllocation(json.At(kAllocationKey));
  return config;
}

ModelConfig ReadConfig(const std::filesystem::path& config_json) {
  const std::string where = config_json.string();
  ModelConfig config = ParseConfig(ParseJson(QuotePythonNumbers(ReadTextFile(config_json)), where), where);
  // Read as text, so that whatever is used was refused; the rest cannot be written as JSON.
  const Json source = config.source;
  for (const auto& [key, value] : source.items())
    if (value == "NaN" || value == "Infinity" || value == "-Infinity") {
      config.notes.push_back(fmt::format("{} is {}, which is no number of JSON; it is left out", key, value.dump()));
      config.source.erase(key);
    }
  return config;
}

Json ToJson(const ModelConfig& config) {
  Json json = config.source;
  WriteIfAbsent(config, &json);
  json["vocab_size"] = config.vocab_size;
  json["hidden_size"] = config.hidden_size;
  json["intermediate_size"] = config.intermediate_size;
  json["num_hidden_layers"] = config.num_layers;
  json["num_attention_heads"] = config.num_heads;
  json["num_key_value_heads"] = config.num_kv_heads;
  json["head_dim"] = config.head_dim;
  if (json.contains("layer_types")) {
    Json types = Json::array();
    for (int64_t window : config.sliding_window) types.push_back(window > 0 ? "sliding_attention" : "full_attention");
    json["layer_types"] = types;
  }
  json["tie_word_embeddings"] = config.tie_embeddings;
  if (json.contains("torch_dtype") || !json.contains("dtype")) json["torch_dtype"] = DTypeName(config.dtype);
  if (json.contains("dtype")) json["dtype"] = DTypeName(config.dtype);
  if (config.quantization)
    json["quantization_config"] = ToJson(*config.quantization);
  else
    json.erase("quantization_config");
  json.erase(kOldQuantizationKey);
  if (config.allocation && !config.quantization)
    json[kAllocationKey] = {{"weights_B", config.allocation->weights_B},
                            {"formats", ToJson(config.allocation->formats)}};
  else
    json.erase(kAllocationKey);
  return json;
}

}  // namespace ecld
