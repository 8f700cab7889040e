#include "checkpoint/gguf/gguf_export_config.h"

#include <algorithm>

#include "checkpoint/gguf/gguf_config.h"
#include "core/error.h"

namespace ecld {
namespace {

bool IsQwen(const ModelConfig& config) { return config.family == Family::kQwen2 || config.family == Family::kQwen3; }

std::string Architecture(const ModelConfig& config) {
  return IsQwen(config) ? std::string(Name(config.family)) : "llama";
}

int64_t Window(const ModelConfig& config, const std::string& where) {
  const auto& windows = config.sliding_window;
  const int64_t window = windows.empty() ? 0 : *std::max_element(windows.begin(), windows.end());
  if (window > 0 && IsQwen(config))
    Fail(where + ": sliding_window", "some layers attend to {} tokens only, which GGUF's {} cannot say", window,
         Architecture(config));
  if (std::count(windows.begin(), windows.end(), window) != std::ssize(windows))
    Fail(where + ": layer_types", "windows differ from layer to layer, which GGUF's llama cannot say");
  return window;
}

void PutRope(const ModelConfig& config, const std::string& where, const std::string& prefix, GgufWriter* out) {
  const RopeScaling& scaling = config.rope_scaling;
  out->Key(prefix + "rope.freq_base", static_cast<float>(config.rope_theta));
  out->Key(prefix + "rope.dimension_count", config.head_dim);
  if (scaling.kind == RopeScaling::Kind::kLinear && scaling.factor != 1) {
    out->Key(prefix + "rope.scaling.type", std::string("linear"));
    out->Key(prefix + "rope.scaling.factor", static_cast<float>(scaling.factor));
  }
  if (scaling.kind != RopeScaling::Kind::kLlama3) return;
  if (scaling.low_freq_factor != 1 || scaling.high_freq_factor != 4)
    Fail(where + ": rope_scaling", "has low_freq_factor {} and high_freq_factor {}; 1 and 4 could be exported",
         scaling.low_freq_factor, scaling.high_freq_factor);
  out->Key(prefix + "rope.scaling.original_context_length", scaling.original_max_position);
}

}  // namespace

void PutGgufConfig(const ModelConfig& config, const std::string& where, GgufWriter* out,
                   std::vector<std::string>* notes) {
  if (config.family == Family::kQwen3 && config.qkv_bias)
    Fail(where + ": attention_bias", "is true, but the qwen3 of llama.cpp has no biases and would not load them");
  const std::string architecture = Architecture(config), prefix = architecture + ".";
  out->Key("general.architecture", architecture);
  out->Key("general.type", std::string("model"));
  out->Key("general.quantization_version", uint32_t{2});
  out->Key(prefix + "block_count", config.num_layers);
  out->Key(prefix + "context_length", config.max_position);
  out->Key(prefix + "embedding_length", config.hidden_size);
  out->Key(prefix + "feed_forward_length", config.intermediate_size);
  out->Key(prefix + "attention.head_count", config.num_heads);
  out->Key(prefix + "attention.head_count_kv", config.num_kv_heads);
  out->Key(prefix + "attention.key_length", config.head_dim);
  out->Key(prefix + "attention.value_length", config.head_dim);
  out->Key(prefix + "attention.layer_norm_rms_epsilon", static_cast<float>(config.rms_norm_eps));
  out->Key(prefix + "vocab_size", config.vocab_size);
  PutRope(config, where, prefix, out);
  if (const int64_t window = Window(config, where); window > 0) {
    out->Key(prefix + "attention.sliding_window", window);
    if (window < config.max_position)
      notes->push_back(fmt::format(
          "llama.cpp ignores the sliding window of this architecture: beyond {} tokens it attends to more", window));
  }
}

std::vector<float> GgufRopeDivisors(const ModelConfig& config) {
  std::vector<float> divisors;
  const RopeScaling& scaling = config.rope_scaling;
  if (scaling.kind != RopeScaling::Kind::kLlama3) return divisors;
  for (int64_t i = 0; i < config.head_dim / 2; ++i)
    divisors.push_back(static_cast<float>(
        Llama3Divisor(i, config.head_dim, config.rope_theta, scaling.factor, scaling.original_max_position)));
  return divisors;
}

void RequireSameModel(const ModelConfig& config, const ModelConfig& read, const std::string& where) {
  auto same = [&](const char* what, auto expected, auto found) {
    if (expected != found) Fail(where, "was written wrongly: {} reads back as {}, not {}", what, found, expected);
  };
  same("vocab_size", config.vocab_size, read.vocab_size);
  same("hidden_size", config.hidden_size, read.hidden_size);
  same("intermediate_size", config.intermediate_size, read.intermediate_size);
  same("num_hidden_layers", config.num_layers, read.num_layers);
  same("num_attention_heads", config.num_heads, read.num_heads);
  same("num_key_value_heads", config.num_kv_heads, read.num_kv_heads);
  same("head_dim", config.head_dim, read.head_dim);
  same("max_position_embeddings", config.max_position, read.max_position);
  same("rms_norm_eps", static_cast<float>(config.rms_norm_eps), static_cast<float>(read.rms_norm_eps));
  same("rope_theta", static_cast<float>(config.rope_theta), static_cast<float>(read.rope_theta));
  auto kind = [](const RopeScaling& scaling) {  // a factor of 1 scales nothing
    return static_cast<int>(scaling.factor == 1 ? RopeScaling::Kind::kNone : scaling.kind);
  };
  same("the kind of rope_scaling", kind(config.rope_scaling), kind(read.rope_scaling));
  same("the factor of rope_scaling", static_cast<float>(config.rope_scaling.factor),
       static_cast<float>(read.rope_scaling.factor));
  if (kind(config.rope_scaling) == static_cast<int>(RopeScaling::Kind::kLlama3))
    same("original_max_position_embeddings", config.rope_scaling.original_max_position,
         read.rope_scaling.original_max_position);
  same("tie_word_embeddings", config.tie_embeddings, read.tie_embeddings);
  same("biases of q, k, v", config.qkv_bias, read.qkv_bias);
  same("the bias of o", config.o_bias, read.o_bias);
  same("biases of the feed-forward part", config.mlp_bias, read.mlp_bias);
  same("norms of queries and keys", config.qk_norm, read.qk_norm);
  same("sliding_window", fmt::format("{}", fmt::join(config.sliding_window, " ")),
       fmt::format("{}", fmt::join(read.sliding_window, " ")));
}

}  // namespace ecld
