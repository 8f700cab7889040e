#pragma once
// A whole tiny model as a GGUF file, for the import tests: two layers, two query heads, one key head of four, and a
// byte-level BPE of six tokens. Weights are their own index, so that every row is told from every other.

#include <numeric>

#include "tests/testing/gguf_builder.h"

namespace ecld {

struct TinyGguf {
  std::string architecture = "llama";
  bool tied = true;
  uint64_t head_dim = 4;
  uint64_t blocks = 2;
  std::string pre = "smollm";
  std::vector<std::string> tokens = {"<|end|>", "a", "b", "ab", "\xc4\xa0", "<tool>", "<pad>"};
  std::vector<int32_t> kinds = {3, 1, 1, 1, 1, 4, 5};
  std::vector<std::string> merges = {"a b"};

  static constexpr uint64_t kHidden = 8, kIntermediate = 12, kHeads = 2;

  GgufBuilder Vocabulary() const {
    GgufBuilder file;
    file.Key("general.architecture", architecture).Key("tokenizer.ggml.model", std::string("gpt2"));
    file.Key("tokenizer.ggml.pre", pre).Key("tokenizer.ggml.tokens", tokens);
    file.Key("tokenizer.ggml.token_type", kinds).Key("tokenizer.ggml.merges", merges);
    file.Key("tokenizer.ggml.eos_token_id", uint32_t{0}).Key("tokenizer.ggml.padding_token_id", uint32_t{0xffffffff});
    return file;
  }

  GgufBuilder Metadata() const { return WithSizes(Vocabulary()); }

  GgufBuilder WithSizes(GgufBuilder file) const {
    auto size = [&](const char* key, uint64_t value) {
      file.Key(architecture + "." + key, static_cast<uint32_t>(value));
    };
    size("block_count", blocks);
    size("context_length", 128);
    size("embedding_length", kHidden);
    size("feed_forward_length", kIntermediate);
    size("attention.head_count", kHeads);
    size("attention.head_count_kv", 1);
    size("attention.key_length", head_dim);
    file.Key(architecture + ".attention.layer_norm_rms_epsilon", 1e-5f);
    return file;
  }

  static GgufBuilder& Indexed(GgufBuilder& file, const std::string& name, std::vector<uint64_t> shape) {
    uint64_t count = std::accumulate(shape.begin(), shape.end(), uint64_t{1}, std::multiplies<>());
    std::vector<float> values(count);
    std::iota(values.begin(), values.end(), 0.0f);
    return file.Floats(name, std::move(shape), values);
  }

  GgufBuilder WithTensors(GgufBuilder file) const {
    const uint64_t query = kHeads * head_dim;
    Indexed(file, "token_embd.weight", {tokens.size(), kHidden});
    for (uint64_t layer = 0; layer < blocks; ++layer) {
      auto add = [&](const char* name, std::vector<uint64_t> shape) {
        Indexed(file, "blk." + std::to_string(layer) + "." + name, std::move(shape));
      };
      add("attn_norm.weight", {kHidden});
      add("attn_q.weight", {query, kHidden});
      add("attn_k.weight", {head_dim, kHidden});
      add("attn_v.weight", {head_dim, kHidden});
      add("attn_output.weight", {kHidden, query});
      if (architecture == "qwen2") {
        add("attn_q.bias", {query});
        add("attn_k.bias", {head_dim});
        add("attn_v.bias", {head_dim});
      }
      if (architecture == "qwen3") {
        add("attn_q_norm.weight", {head_dim});
        add("attn_k_norm.weight", {head_dim});
      }
      add("ffn_norm.weight", {kHidden});
      add("ffn_gate.weight", {kIntermediate, kHidden});
      add("ffn_up.weight", {kIntermediate, kHidden});
      add("ffn_down.weight", {kHidden, kIntermediate});
    }
    Indexed(file, "output_norm.weight", {kHidden});
    if (!tied) Indexed(file, "output.weight", {tokens.size(), kHidden});
    return file;
  }

  GgufBuilder File() const { return WithTensors(Metadata()); }
};

}  // namespace ecld
