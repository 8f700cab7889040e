#include "checkpoint/gguf/gguf_metadata.h"

#include <gtest/gtest.h>

#include "checkpoint/gguf/gguf_config.h"
#include "tests/checkpoint/gguf/tiny_gguf.h"
#include "tests/testing/expect_error.h"

namespace ecld {
namespace {

// The unknown keys of the tiny model with one more key.
template <class T>
std::vector<std::string> Check(const std::string& key, const T& value) {
  GgufBuilder file = TinyGguf().File();
  file.Key(key, value);
  const std::string bytes = file.Bytes();
  const GgufContents gguf = ParseGguf(std::as_bytes(std::span(bytes)), "m.gguf");
  return CheckGgufMetadata(gguf, ReadGgufConfig(gguf, DType::kBF16));
}

using Keys = std::vector<std::string>;

TEST(GgufMetadata, KnowsWhatTheConvertersWrite) {
  EXPECT_EQ(Check("general.name", std::string("Tiny")), Keys{});
  EXPECT_EQ(Check("general.base_model.0.repo_url", std::string("https://example.org")), Keys{});
  EXPECT_EQ(Check("general.quantization_version", uint32_t{2}), Keys{});
  EXPECT_EQ(Check("general.type", std::string("model")), Keys{});
  EXPECT_EQ(Check("llama.vocab_size", uint32_t{7}), Keys{});
  EXPECT_EQ(Check("llama.rope.freq_base", 10000.0f), Keys{});
  EXPECT_EQ(Check("llama.tensor_data_layout", std::string("Meta AI original pth")), Keys{});
  EXPECT_EQ(Check("quantize.imatrix.file", std::string("a.dat")), Keys{});
  EXPECT_EQ(Check("general.sampling.top_p", 0.9f), Keys{});
  EXPECT_EQ(Check("tokenizer.ggml.fim_pre_token_id", uint32_t{1}), Keys{});
}

TEST(GgufMetadata, TakesValuesThatChangeNothing) {
  EXPECT_EQ(Check("llama.attention.causal", true), Keys{});
  EXPECT_EQ(Check("llama.attention.scale", 0.5f), Keys{});  // heads of four
  EXPECT_EQ(Check("llama.attention.scale", 0.0f), Keys{});
  EXPECT_EQ(Check("llama.expert_used_count", uint32_t{2}), Keys{});  // of no experts
  EXPECT_EQ(Check("llama.logit_scale", 1.0f), Keys{});
  EXPECT_EQ(Check("llama.hidden_activation", std::string("silu")), Keys{});
  EXPECT_EQ(Check("llama.attention.sliding_window_pattern", std::vector<int32_t>{0, 0}), Keys{});
}

TEST(GgufMetadata, RefusesWhatWouldBeLost) {
  EXPECT_ERROR(Check("llama.attention.causal", false),
               "m.gguf: llama.attention.causal: is 0, which this model cannot be computed with; 1 or no such key");
  EXPECT_ERROR(Check("llama.attention.scale", 0.25f), "llama.attention.scale: is 0.25, which this model cannot be");
  EXPECT_ERROR(Check("llama.logit_scale", 0.0625f), "llama.logit_scale: is 0.0625");
  EXPECT_ERROR(Check("llama.residual_scale", 0.5f), "llama.residual_scale: is 0.5");
  EXPECT_ERROR(Check("llama.embedding_scale", 12.0f), "llama.embedding_scale: is 12");
  EXPECT_ERROR(Check("llama.final_logit_softcapping", 30.0f), "llama.final_logit_softcapping: is 30");
  EXPECT_ERROR(Check("llama.attention.clamp_kqv", 8.0f), "llama.attention.clamp_kqv: is 8");
  EXPECT_ERROR(Check("llama.attention.sliding_window_pattern", std::vector<int32_t>{0, 1}), "is 1");
  EXPECT_ERROR(Check("llama.hidden_activation", std::string("gelu")),
               "llama.hidden_activation: is \"gelu\", which is not supported; \"silu\" is");
  EXPECT_ERROR(Check("general.type", std::string("adapter")), "general.type: is \"adapter\", which is not supported");
  EXPECT_ERROR(Check("general.quantization_version", uint32_t{1}), "general.quantization_version: is 1");
  EXPECT_ERROR(Check("tokenizer.ggml.normalizer.lowercase", true), "tokenizer.ggml.normalizer.lowercase: is 1");
  EXPECT_ERROR(Check("tokenizer.ggml.add_sep_token", true), "tokenizer.ggml.add_sep_token: is 1");
}

TEST(GgufMetadata, TellsKeysThatNobodyKnows) {
  EXPECT_EQ(Check("llama.flux_capacitor", 1.21f), Keys{"llama.flux_capacitor"});
  EXPECT_EQ(Check("general.sampling.mirostat", uint32_t{2}), Keys{"general.sampling.mirostat"});
  EXPECT_EQ(Check("gemma2.block_count", uint32_t{2}), Keys{"gemma2.block_count"});
  EXPECT_EQ(Check("tokenizer.chat_template.tool_use", std::string("x")), Keys{"tokenizer.chat_template.tool_use"});
}

}  // namespace
}  // namespace ecld
