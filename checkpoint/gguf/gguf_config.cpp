#include "checkpoint/gguf/gguf_config.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "core/error.h"

namespace ecld {
namespace {

// Metadata of the architecture: keys are looked up as "<architecture>.<name>".
class ArchitectureView {
 public:
  explicit ArchitectureView(const GgufContents& contents)
      : gguf(contents), name(contents.At("general.architecture").String()) {}

  const GgufValue* Find(std::string_view key) const { return gguf.Find(name + "." + std::string(key)); }
  const GgufValue& At(std::string_view key) const { return gguf.At(name + "." + std::string(key)); }

  // A size that may be stored per layer: the config formats we write have one for all layers.
  int64_t Size(const GgufValue& value) const {
    if (!value.IsArray()) return value.Int();
    std::vector<int64_t> sizes = value.Ints();
    if (sizes.empty() || std::count(sizes.begin(), sizes.end(), sizes[0]) != std::ssize(sizes)) {
      Fail(value.Where(), "differs from layer to layer, which is not supported");
    }
    return sizes[0];
  }
  int64_t Size(std::string_view key) const { return Size(At(key)); }
  int64_t SizeOr(std::string_view key, int64_t fallback) const {
    const GgufValue* value = Find(key);
    return value ? Size(*value) : fallback;
  }
  double NumberOr(std::string_view key, double fallback) const {
    const GgufValue* value = Find(key);
    return value ? ShortestDecimal(value->Number()) : fallback;
  }

  // Metadata floats are 32-bit: 1e-05 arrives as 9.99999975e-06. The shortest decimal that reads back as the same
  // float is what the author wrote.
  static double ShortestDecimal(double value) { return std::stod(fmt::format("{}", static_cast<float>(value))); }

  const GgufContents& gguf;
  const std::string name;
};

void CheckArchitecture(const ArchitectureView& view) {
  if (view.name != "llama" && view.name != "qwen2" && view.name != "qwen3") {
    Fail(view.gguf.At("general.architecture").Where(), "\"{}\" is not supported; llama, qwen2 and qwen3 are",
         view.name);
  }
  if (view.SizeOr("expert_count", 0) > 0) {
    Fail(view.At("expert_count").Where(), "a mixture of experts is not supported, only dense models are");
  }
  if (const GgufValue* parts = view.gguf.Find("split.count"); parts && parts->Int() > 1) {
    Fail(parts->Where(), "this is one of {} parts of a split file; merge them first", parts->Int());
  }
}

int64_t HeadDim(const ArchitectureView& view, int64_t hidden_size, int64_t num_heads) {
  if (num_heads < 1) Fail(view.At("attention.head_count").Where(), "expected at least 1, found {}", num_heads);
  int64_t head_dim = view.SizeOr("attention.key_length", hidden_size / num_heads);
  if (int64_t value_length = view.SizeOr("attention.value_length", head_dim); value_length != head_dim) {
    Fail(view.At("attention.value_length").Where(), "{} differs from the key length {}", value_length, head_dim);
  }
  if (int64_t rotated = view.SizeOr("rope.dimension_count", head_dim); rotated != head_dim) {
    Fail(view.At("rope.dimension_count").Where(), "{} of {} dimensions: partial rotary embedding is not supported",
         rotated, head_dim);
  }
  return head_dim;
}

Json Llama3Scaling(double factor, int64_t original_max_position) {
  return {{"rope_type", "llama3"},
          {"factor", factor},
          {"low_freq_factor", 1.0},
          {"high_freq_factor", 4.0},
          {"original_max_position_embeddings", original_max_position}};
}

// rope_freqs.weight holds the divisors themselves. They are accepted where they are those of the llama3 rope type,
// which a config can name; the factor is the largest of them.
Json RopeScalingFromTensor(const ArchitectureView& view, const GgufTensor& tensor, int64_t head_dim, double theta) {
  std::string where = fmt::format("{}: tensor {}", view.gguf.where, tensor.name);
  if (tensor.type != GgmlType::kF32 || tensor.Elements() != head_dim / 2) {
    Fail(where, "expected {} values of type F32, found {} of type {}", head_dim / 2, tensor.Elements(),
         InfoOf(tensor.type).name);
  }
  std::vector<float> divisors(static_cast<size_t>(head_dim / 2));
  Dequantize(tensor.type, tensor.bytes.data(), tensor.Elements(), divisors.data());
  double factor = ArchitectureView::ShortestDecimal(*std::max_element(divisors.begin(), divisors.end()));
  int64_t original = view.SizeOr("rope.scaling.original_context_length", 8192);
  for (int64_t i = 0; i < head_dim / 2; ++i) {
    double expected = Llama3Divisor(i, head_dim, theta, factor, original);
    double found = divisors[static_cast<size_t>(i)];
    // The divisors were computed in float32; 1e-4 is far above its error and far below any other rope's difference.
    if (!(std::abs(found - expected) <= 1e-4 * expected)) {
      Fail(where, "value {} at {} is not that of the llama3 rope type with factor {}, which is {}", found, i, factor,
           expected);
    }
  }
  if (factor == 1) return nullptr;
  return Llama3Scaling(factor, original);
}

Json ReadRopeScaling(const ArchitectureView& view, int64_t head_dim, double theta) {
  auto tensor = view.gguf.tensors.find("rope_freqs.weight");
  if (tensor != view.gguf.tensors.end()) return RopeScalingFromTensor(view, tensor->second, head_dim, theta);
  double factor = view.NumberOr("rope.scaling.factor", view.NumberOr("rope.scale_linear", 1));
  const GgufValue* type = view.Find("rope.scaling.type");
  std::string name = type ? type->String() : factor == 1 ? "none" : "linear";
  if (name == "none" || (name == "linear" && factor == 1)) return nullptr;
  if (name != "linear") Fail(type->Where(), "\"{}\" is not supported; none, linear and llama3 factors are", name);
  return {{"rope_type", "linear"}, {"factor", factor}};
}

void AddBiases(const GgufContents& gguf, Json* json) {
  (*json)["attention_bias"] = gguf.tensors.contains("blk.0.attn_q.bias");
  (*json)["mlp_bias"] = gguf.tensors.contains("blk.0.ffn_up.bias");
}

// What tells the four families apart.
void AddFamily(const ArchitectureView& view, Json* json) {
  const GgufValue* window = view.Find("attention.sliding_window");
  if (view.name != "llama") {
    bool is_qwen2 = view.name == "qwen2";
    if (window) Fail(window->Where(), "a sliding window is not supported for {}", view.name);
    (*json)["architectures"] = {is_qwen2 ? "Qwen2ForCausalLM" : "Qwen3ForCausalLM"};
    (*json)["model_type"] = view.name;
    if (!is_qwen2) (*json)["attention_bias"] = view.gguf.tensors.contains("blk.0.attn_q.bias");
  } else if (window) {
    (*json)["architectures"] = {"MistralForCausalLM"};
    (*json)["model_type"] = "mistral";
    (*json)["sliding_window"] = view.Size(*window);
  } else {
    // A Mistral without a window is the same function as a Llama, and GGUF does not say which it was.
    (*json)["architectures"] = {"LlamaForCausalLM"};
    (*json)["model_type"] = "llama";
    AddBiases(view.gguf, json);
  }
}

}  // namespace

double Llama3Divisor(int64_t i, int64_t head_dim, double theta, double factor, int64_t original_max_position) {
  double frequency = std::pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(head_dim));
  double wavelength = 2 * std::numbers::pi / frequency;
  double turns = static_cast<double>(original_max_position) / wavelength;
  if (turns > 4) return 1;
  if (turns < 1) return factor;
  double smooth = (turns - 1) / (4 - 1);
  return 1 / ((1 - smooth) / factor + smooth);
}

std::optional<int64_t> GgufTokenId(const GgufContents& gguf, std::string_view name) {
  const GgufValue* value = gguf.Find(fmt::format("tokenizer.ggml.{}_token_id", name));
  if (!value || value->Int() == std::numeric_limits<uint32_t>::max()) return std::nullopt;
  return value->Int();
}

std::vector<int64_t> GgufStopIds(const GgufContents& gguf) {
  std::vector<int64_t> ids;
  for (const char* name : {"eos", "eot", "eom"}) {
    std::optional<int64_t> id = GgufTokenId(gguf, name);
    if (id && std::find(ids.begin(), ids.end(), *id) == ids.end()) ids.push_back(*id);
  }
  return ids;
}

ModelConfig ReadGgufConfig(const GgufContents& gguf, DType dtype) {
  ArchitectureView view(gguf);
  CheckArchitecture(view);
  auto embedding = gguf.tensors.find("token_embd.weight");
  if (embedding == gguf.tensors.end()) Fail(gguf.where, "has no tensor token_embd.weight; is it a vocabulary alone?");

  int64_t hidden_size = view.Size("embedding_length");
  int64_t num_heads = view.Size("attention.head_count");
  int64_t head_dim = HeadDim(view, hidden_size, num_heads);
  double theta = view.NumberOr("rope.freq_base", 10000);
  Json json;
  AddFamily(view, &json);
  json["vocab_size"] = embedding->second.shape[0];
  json["hidden_size"] = hidden_size;
  json["intermediate_size"] = view.Size("feed_forward_length");
  json["num_hidden_layers"] = view.Size("block_count");
  json["num_attention_heads"] = num_heads;
  json["num_key_value_heads"] = view.SizeOr("attention.head_count_kv", num_heads);
  json["head_dim"] = head_dim;
  json["hidden_act"] = "silu";
  json["max_position_embeddings"] = view.Size("context_length");
  json["rms_norm_eps"] = ArchitectureView::ShortestDecimal(view.At("attention.layer_norm_rms_epsilon").Number());
  json["rope_theta"] = theta;
  json["rope_scaling"] = ReadRopeScaling(view, head_dim, theta);
  json["tie_word_embeddings"] = !gguf.tensors.contains("output.weight");
  if (auto bos = GgufTokenId(gguf, "bos")) json["bos_token_id"] = *bos;
  std::vector<int64_t> stop = GgufStopIds(gguf);
  if (!stop.empty()) json["eos_token_id"] = stop.size() == 1 ? Json(stop[0]) : Json(stop);
  ModelConfig config = ParseConfig(json, gguf.where);
  config.dtype = dtype;
  return config;
}

}  // namespace ecld
