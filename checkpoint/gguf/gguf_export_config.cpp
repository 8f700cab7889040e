#include "checkpoint/gguf/gguf_export_config.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "checkpoint/features.h"
#include "checkpoint/gguf/gguf_rope.h"
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

// What one of its architectures cannot say is asked for where it is written; this is what none of them can.
void RequireSupported(const ModelConfig& config, const std::string& where) {
  static constexpr std::array kArchitectures = {Family::kLlama, Family::kQwen2, Family::kQwen3, Family::kMistral};
  static constexpr std::array kTaught = {Feature::kQueryKeyValueBias, Feature::kOutputBias, Feature::kMlpBias,
                                         Feature::kHeadNorms,         Feature::kWindows,    Feature::kRopeLinear,
                                         Feature::kRopeLlama3,        Feature::kRopeYarn,   Feature::kRopeDynamic,
                                         Feature::kRopeLongRope};
  if (std::ranges::find(kArchitectures, config.family) == kArchitectures.end())
    Fail(where, "models of type {} are not written as GGUF; llama, qwen2, qwen3 and mistral are", Name(config.family));
  RequireTaught(config, kTaught, where, "GGUF's llama, qwen2 and qwen3");
}

}  // namespace

void PutGgufConfig(const ModelConfig& config, const std::string& where, GgufWriter* out,
                   std::vector<std::string>* notes) {
  RequireSupported(config, where);
  if (config.family == Family::kQwen3 && config.qkv_bias)
    Fail(where + ": attention_bias", "is true, but the qwen3 of llama.cpp has no biases and would not load them");
  if (config.family == Family::kQwen2 && config.QueryWidth() != config.hidden_size)
    Fail(where + ": num_attention_heads",
         "{} heads of {} are {} wide, but the qwen2 of llama.cpp takes them to be as wide as the states, {}, and would "
         "not load the file",
         config.num_heads, config.head_dim, config.QueryWidth(), config.hidden_size);
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
  PutGgufRope(config, where, prefix, out, notes);
  if (const int64_t window = Window(config, where); window > 0) {
    out->Key(prefix + "attention.sliding_window", window);
    if (window < config.max_position)
      notes->push_back(fmt::format(
          "llama.cpp ignores the sliding window of this architecture: beyond {} tokens it attends to more", window));
  }
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
  // By what positions are turned, within the original length and beyond: metadata floats have 32 bits.
  for (int64_t text_tok : {int64_t{1}, LongestText(config)}) {
    const Rope expected = MakeRope(config, text_tok), found = MakeRope(read, text_tok);
    same("the number of frequencies", expected.frequencies.size(), found.frequencies.size());
    const auto turns = [&](const char* what, float a, float b) {
      if (!(std::abs(a - b) <= 1e-5f * a)) same(what, a, b);
    };
    for (size_t i = 0; i < expected.frequencies.size(); ++i)
      turns("a frequency of rotation", expected.frequencies[i], found.frequencies[i]);
    turns("attention_factor", expected.attention_factor, found.attention_factor);
  }
  same("tie_word_embeddings", config.tie_embeddings, read.tie_embeddings);
  same("biases of q, k, v", config.qkv_bias, read.qkv_bias);
  same("the bias of o", config.o_bias, read.o_bias);
  same("biases of the feed-forward part", config.mlp_bias, read.mlp_bias);
  same("norms of queries and keys", config.qk_norm, read.qk_norm);
}

}  // namespace ecld
