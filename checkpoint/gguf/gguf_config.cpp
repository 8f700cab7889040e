#include "checkpoint/gguf/gguf_config.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "checkpoint/gguf/gguf_architecture.h"
#include "checkpoint/gguf/gguf_rope.h"
#include "core/error.h"

namespace ecld {
namespace {

void CheckArchitecture(const GgufArchitecture& view) {
  if (view.name != "llama" && view.name != "qwen2" && view.name != "qwen3") {
    Fail(view.gguf.At("general.architecture").Where(), "\"{}\" is not supported; llama, qwen2 and qwen3 are",
         view.name);
  }
  if (const GgufValue* type = view.gguf.Find("general.type"); type && type->String() != "model")
    Fail(type->Where(), "is \"{}\", which is not supported; \"model\" is", type->String());
  if (view.SizeOr("expert_count", 0) > 0) {
    Fail(view.At("expert_count").Where(), "a mixture of experts is not supported, only dense models are");
  }
}

int64_t HeadDim(const GgufArchitecture& view, int64_t hidden_size, int64_t num_heads) {
  if (num_heads < 1) Fail(view.At("attention.head_count").Where(), "expected at least 1, found {}", num_heads);
  int64_t head_dim = view.SizeOr("attention.key_length", hidden_size / num_heads);
  if (int64_t value_length = view.SizeOr("attention.value_length", head_dim); value_length != head_dim) {
    Fail(view.At("attention.value_length").Where(), "{} differs from the key length {}", value_length, head_dim);
  }
  return head_dim;
}

void AddBiases(const GgufContents& gguf, Json* json) {
  (*json)["attention_bias"] = gguf.tensors.contains("blk.0.attn_q.bias");
  (*json)["mlp_bias"] = gguf.tensors.contains("blk.0.ffn_up.bias");
}

// A window that all layers have, which llama.cpp does not read for these architectures: its files are models without.
void TellWindow(const GgufArchitecture& view, std::vector<std::string>* notes) {
  const GgufValue* window = view.Find("attention.sliding_window");
  if (!window || view.Size(*window) == 0) return;
  if (view.name != "llama") Fail(window->Where(), "a sliding window is not supported for {}", view.name);
  notes->push_back(
      fmt::format("attention.sliding_window {} is passed over, as llama.cpp does: every token attends to all before it",
                  view.Size(*window)));
}

// What tells the families apart. A Mistral without a window is the same function as a Llama, and GGUF does not say
// which it was.
void AddFamily(const GgufArchitecture& view, Json* json) {
  const bool is_llama = view.name == "llama";
  (*json)["model_type"] = view.name;
  (*json)["architectures"] = {is_llama               ? "LlamaForCausalLM"
                              : view.name == "qwen2" ? "Qwen2ForCausalLM"
                                                     : "Qwen3ForCausalLM"};
  if (is_llama) AddBiases(view.gguf, json);
  if (view.name == "qwen3") (*json)["attention_bias"] = view.gguf.tensors.contains("blk.0.attn_q.bias");
}

}  // namespace

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
  GgufArchitecture view(gguf);
  CheckArchitecture(view);
  auto embedding = gguf.tensors.find("token_embd.weight");
  if (embedding == gguf.tensors.end()) Fail(gguf.where, "has no tensor token_embd.weight; is it a vocabulary alone?");

  int64_t hidden_size = view.Size("embedding_length");
  int64_t num_heads = view.Size("attention.head_count");
  int64_t head_dim = HeadDim(view, hidden_size, num_heads);
  Json json;
  AddFamily(view, &json);
  json["vocab_size"] = embedding->second.shape[0];
  json["hidden_size"] = hidden_size;
  json["intermediate_size"] = view.Size("feed_forward_length");
  // The last blocks predict further tokens, where there are such.
  json["num_hidden_layers"] = view.Size("block_count") - view.SizeOr("nextn_predict_layers", 0);
  json["num_attention_heads"] = num_heads;
  json["num_key_value_heads"] = view.SizeOr("attention.head_count_kv", num_heads);
  json["head_dim"] = head_dim;
  json["hidden_act"] = "silu";
  json["max_position_embeddings"] = view.Size("context_length");
  json["rms_norm_eps"] = view.At("attention.layer_norm_rms_epsilon").Decimal();
  AddGgufRope(view, head_dim, &json);
  json["tie_word_embeddings"] = !gguf.tensors.contains("output.weight");
  if (auto bos = GgufTokenId(gguf, "bos")) json["bos_token_id"] = *bos;
  std::vector<int64_t> stop = GgufStopIds(gguf);
  if (!stop.empty()) json["eos_token_id"] = stop.size() == 1 ? Json(stop[0]) : Json(stop);
  ModelConfig config = ParseConfig(json, gguf.where);
  TellWindow(view, &config.notes);
  config.dtype = dtype;
  return config;
}

}  // namespace ecld
