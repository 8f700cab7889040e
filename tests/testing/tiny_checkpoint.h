#pragma once
// Checkpoints of all families, small enough for a unit test and real in layout: config.json as that family
// writes it, two safetensors shards with their index, a byte-level tokenizer with a chat template. Weights are seeded
// and scaled so that every part of the model matters to the logits; norms and biases are not trivial.

#include <cstdint>
#include <filesystem>

#include "checkpoint/config.h"
#include "core/json.h"

namespace ecld {

struct TinyOptions {
  Family family = Family::kLlama;
  uint64_t seed = 1;
  DType dtype = DType::kF32;
  bool tied = false;
  bool bias = false;  // Llama: attention and MLP; Qwen3: attention; Qwen2 has q, k, v biases always
  RopeScaling::Kind rope_scaling = RopeScaling::Kind::kNone;
  bool rope_parameters = false;  // the newer key style of config.json
  int64_t sliding_window = 0;    // Mistral: all layers; Qwen: all but the first; Gemma: every other; not Llama
  int64_t head_dim = 0;          // 0: hidden_size / num_heads
  int64_t hidden_size = 64;
  int64_t intermediate_size = 96;
  int64_t num_layers = 2;
  int64_t num_heads = 4;
  int64_t num_kv_heads = 2;
  bool uneven = false;       // the last layer has half the heads, and two thirds of the channels
  int64_t vocab_size = 300;  // at least kTinyTokens; ids above the tokenizer's are unused, as in real models
  int64_t max_position = 512;
};

// config.json of these options, with the keys that the family's published checkpoints have.
Json TinyConfigJson(const TinyOptions& options);

// Writes directory (created) and returns its config.
ModelConfig WriteTinyCheckpoint(const std::filesystem::path& directory, const TinyOptions& options = {});

// tokenizer.json and tokenizer_config.json alone: 3 special tokens, the 256 bytes, and a few merges.
inline constexpr int64_t kTinyTokens = 283;
void WriteTinyTokenizer(const std::filesystem::path& directory);

}  // namespace ecld
