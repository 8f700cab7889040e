// The decoding step of a GPU, all its kernels run by the executor on the host, against the session on the processor.

#include "runtime/gpu_decoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "runtime/generate.h"
#include "tests/runtime/tiny_model.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/host_machine.h"
#include "tests/testing/near.h"
#include "tests/testing/packed_checkpoint.h"

namespace ecld {
namespace {

struct Variant {
  const char* name;
  TinyOptions model;
  int bits = 4;  // 0: dense
  DType type = DType::kF16;
  KvType kv = KvType::kF16;
  bool symmetric = true;
};

const Variant kVariants[] = {
    {"llama_w4", {.family = Family::kLlama, .dtype = DType::kBF16}},
    {"llama_w8_bias_q8_bf16",
     {.family = Family::kLlama, .dtype = DType::kBF16, .bias = true},
     8,
     DType::kBF16,
     KvType::kQ8},
    {"llama3_w3_tied",
     {.family = Family::kLlama, .dtype = DType::kF16, .tied = true, .rope_scaling = RopeScaling::Kind::kLlama3},
     3,
     DType::kF16,
     KvType::kF16,
     false},
    {"qwen2_w8", {.family = Family::kQwen2, .dtype = DType::kBF16, .tied = true}, 8},
    {"qwen2_w4_bf16_window", {.family = Family::kQwen2, .dtype = DType::kBF16, .sliding_window = 9}, 4, DType::kBF16},
    {"qwen3_w4_q8",
     {.family = Family::kQwen3, .dtype = DType::kBF16, .head_dim = 24},
     4,
     DType::kF16,
     KvType::kQ8,
     false},
    {"qwen3_w8_bf16", {.family = Family::kQwen3, .dtype = DType::kBF16, .head_dim = 24}, 8, DType::kBF16},
    {"mistral_w4_window", {.family = Family::kMistral, .dtype = DType::kBF16, .sliding_window = 7, .head_dim = 20}, 4},
    {"mistral_w8_window_q8_bf16",
     {.family = Family::kMistral, .dtype = DType::kBF16, .sliding_window = 7, .head_dim = 20},
     8,
     DType::kBF16,
     KvType::kQ8},
    {"llama_dense_f16", {.family = Family::kLlama, .dtype = DType::kF16, .bias = true}, 0},
    {"qwen2_dense_bf16", {.family = Family::kQwen2, .dtype = DType::kBF16}, 0, DType::kBF16},
};

class GpuDecoders : public testing::TestWithParam<Variant> {
 protected:
  // A checkpoint of the variant, opened as the processor runs it: to the letter but for the cache.
  void SetUp() override {
    const Variant& variant = GetParam();
    if (variant.bits == 0)
      WriteTinyCheckpoint(dir_.path(), variant.model);
    else
      WritePackedCheckpoint(dir_.path(), {.bits = variant.bits, .group_size = 32, .symmetric = variant.symmetric},
                            variant.model);
    model_.emplace(Checkpoint::Open(dir_.path()), RuntimeOptions{.kv = variant.kv});
  }
  GpuDecoder Decoder(int64_t prompt_rows = 8) {
    return {*model_,
            std::make_unique<HostMachine>(),
            {.type = GetParam().type, .kv = GetParam().kv, .context_tok = 100, .prompt_rows = prompt_rows},
            pool_};
  }
  // Logits that the processor computes after the last token.
  std::vector<float> Expected(Session& session, KvCache& cache, std::span<const int32_t> tokens) const {
    const std::vector<float> all = RunTokens(session, cache, tokens);
    return {all.end() - model_->config().vocab_size, all.end()};
  }
  std::vector<float> LogitsOf(const GpuDecoder& decoder) const {
    std::vector<float> logits(static_cast<size_t>(model_->config().vocab_size));
    decoder.Logits(logits);
    return logits;
  }
  // What rounding the inputs of products to 16 bits was seen to change, also where it tips over a code of the cache.
  Tolerance Bound() const {
    if (GetParam().type == DType::kF16) return Relative(3e-3, 8e-4);
    return GetParam().kv == KvType::kQ8 ? Relative(0.02, 5e-3) : Relative(0.01, 2.5e-3);
  }

  TempDir dir_;
  std::optional<RuntimeModel> model_;
  ThreadPool pool_{1};
};

TEST_P(GpuDecoders, StepsHaveTheLogitsOfTheProcessor) {
  GpuDecoder decoder = Decoder();
  Session session(*model_, pool_);
  KvCache cache(*model_);
  std::vector<int32_t> tokens = SomeTokens(12);  // a whole stretch of a prompt, a part of one, and the last token
  for (int step = 0; step < 4; ++step) {
    const int32_t next = decoder.Append(tokens);
    const std::vector<float> expected = Expected(session, cache, tokens), actual = LogitsOf(decoder);
    ASSERT_TRUE(Near(actual, expected, Bound())) << "step " << step;
    EXPECT_EQ(next, std::max_element(actual.begin(), actual.end()) - actual.begin());
    EXPECT_EQ(decoder.length(), cache.length());
    // Sometimes the token that it chose itself, sometimes another, sometimes several.
    tokens = step % 2 == 0 ? std::vector<int32_t>{next} : SomeTokens(step + 2);
  }
}

INSTANTIATE_TEST_SUITE_P(, GpuDecoders, testing::ValuesIn(kVariants),
                         [](const auto& variant) { return std::string(variant.param.name); });

class GpuDecoderTest : public testing::Test {
 protected:
  void Write(const TinyOptions& options, const PackedFormat& format) {
    WritePackedCheckpoint(dir_.path(), format, options);
    model_.emplace(Checkpoint::Open(dir_.path()));
  }
  GpuDecoder Decoder(const GpuOptions& options) { return {*model_, std::make_unique<HostMachine>(), options, pool_}; }

  TempDir dir_;
  std::optional<RuntimeModel> model_;
  ThreadPool pool_{1};
};

constexpr PackedFormat kFormat = {.bits = 4, .group_size = 32};
constexpr GpuOptions kOptions = {.context_tok = 40, .prompt_rows = 8};

TEST_F(GpuDecoderTest, GeneratesGreedilyAndGoesOnFromWhatItKnows) {
  Write({.dtype = DType::kBF16}, kFormat);
  GpuDecoder decoder = Decoder(kOptions);
  const std::vector<int32_t> prompt = SomeTokens(5);
  const Generation first = Generate(decoder, prompt, {.max_tokens = 5});
  ASSERT_EQ(first.tokens.size(), 5u);
  EXPECT_EQ(decoder.length(), 9);
  // The same text from its middle on, and again from the start: the same bits.
  decoder.Truncate(7);
  EXPECT_EQ(Generate(decoder, std::span(first.tokens).subspan(2, 2), {.max_tokens = 1}).tokens,
            std::vector<int32_t>(first.tokens.begin() + 4, first.tokens.end()));
  decoder.Truncate(0);
  EXPECT_EQ(Generate(decoder, prompt, {.max_tokens = 5}).tokens, first.tokens);
  // Drawn tokens come from the same logits.
  decoder.Truncate(0);
  const SamplerOptions sampler{.temperature = 0.8, .seed = 3};
  const Generation drawn = Generate(decoder, prompt, {.max_tokens = 2, .sampler = sampler});
  Session session(*model_, pool_);
  EXPECT_EQ(drawn.tokens, Generate(session, prompt, {.max_tokens = 2, .sampler = sampler}).tokens);
}

TEST_F(GpuDecoderTest, QueryKeyAndValueAreOneProductWhereTheirFormatsAllow) {
  const auto products = [&](const HostMachine& machine) {
    return std::ranges::count_if(machine.List(1), [](const StepLaunch& launch) {
      return std::holds_alternative<CudaGemmArgs>(launch) || std::holds_alternative<cuda::DenseStep>(launch);
    });
  };
  const auto count = [&] {
    auto machine = std::make_unique<HostMachine>();
    const HostMachine& lists = *machine;
    const GpuDecoder decoder(*model_, std::move(machine), kOptions, pool_);
    return products(lists);
  };
  Write({.dtype = DType::kBF16}, kFormat);
  EXPECT_EQ(count(), 2 * 4 + 1);  // of two layers, and the head
  TempDir mixed;
  QuantizationConfig formats{
      .groups = {{.name = "values", .targets = {"re:.*v_proj"}, .format = {.bits = 8, .group_size = 32}},
                 {.name = "others", .targets = {"Linear", "Embedding"}, .format = kFormat}},
      .ignore = {}};
  WritePackedCheckpoint(mixed.path(), formats, {.dtype = DType::kBF16});
  model_.emplace(Checkpoint::Open(mixed.path()));
  EXPECT_EQ(count(), 2 * 5 + 1);
  GpuDecoder decoder = Decoder(kOptions);
  Session session(*model_, pool_);
  KvCache cache(*model_);
  decoder.Append(SomeTokens(9));
  std::vector<float> logits(300);
  decoder.Logits(logits);
  const std::vector<float> expected = RunTokens(session, cache, SomeTokens(9));
  EXPECT_TRUE(Near(logits, std::span(expected).last(300), Relative(3e-3, 8e-4)));
}

TEST_F(GpuDecoderTest, ALogitThatIsNotFiniteIsAnError) {
  Write({.dtype = DType::kBF16}, kFormat);
  GpuDecoder decoder = Decoder(kOptions);
  // Damaged scales in a mapped file would do the same.
  RuntimeModel damaged(Checkpoint::Open(dir_.path()));
  const_cast<std::vector<float>&>(damaged.final_norm())[3] = HUGE_VALF;
  GpuDecoder broken(damaged, std::make_unique<HostMachine>(), kOptions, pool_);
  EXPECT_ERROR(broken.Append(SomeTokens(2)), "its weights are damaged or overflow F16; --activations bf16 has a wider");
}

TEST_F(GpuDecoderTest, WhatCannotRunIsSaid) {
  Write({.dtype = DType::kBF16}, kFormat);
  EXPECT_ERROR(Decoder({.kv = KvType::kQ4}),
               "--kv: q4 is not a cache that the GPU's kernels have; they have f16 and q8");
  EXPECT_ERROR(Decoder({.type = DType::kF32}), "F32 is not a type of the GPU's products");
  EXPECT_ERROR(Decoder({.context_tok = 0}), "--context: is 0, must be at least 1");
  EXPECT_ERROR(Decoder({.prompt_rows = 0}), "prompt_rows: is 0, must be 1 to 1024");
  GpuDecoder decoder = Decoder(kOptions);
  EXPECT_ERROR(decoder.Append({}), "no tokens to run: the text is empty");
  EXPECT_ERROR(decoder.Append(std::vector<int32_t>{1, 300}),
               "token id 300 at position 1 is outside the vocabulary of 300");
  EXPECT_ERROR(decoder.Append(SomeTokens(41)), "a text of 41 tokens is longer than the 40 that there is room for");
  EXPECT_EQ(decoder.length(), 0);
  EXPECT_ERROR(Generate(decoder, SomeTokens(38), {.max_tokens = 4}),
               "38 tokens and 4 new ones do not fit into the 40 positions of this model that there is room for");

  TempDir five, full;
  WritePackedCheckpoint(five.path(), {.bits = 5, .group_size = 32}, {.dtype = DType::kBF16});
  model_.emplace(Checkpoint::Open(five.path()));
  EXPECT_ERROR(Decoder(kOptions),
               "model.embed_tokens.weight is stored as W5 g32 sym with scales BF16; a GPU takes F16");
  WriteTinyCheckpoint(full.path(), {.dtype = DType::kF32});
  model_.emplace(Checkpoint::Open(full.path()));
  EXPECT_ERROR(Decoder(kOptions), "model.embed_tokens.weight is stored as F32; a GPU takes F16");

  // Before any weight is loaded: these would be refused too.
  for (RopeScaling::Kind kind : {RopeScaling::Kind::kYarn, RopeScaling::Kind::kDynamic, RopeScaling::Kind::kLongRope}) {
    TempDir turned;
    WriteTinyCheckpoint(turned.path(), {.dtype = DType::kF32, .rope_scaling = kind});
    model_.emplace(Checkpoint::Open(turned.path()));
    EXPECT_ERROR(Decoder(kOptions),
                 fmt::format("rope type \"{}\"; on a GPU default, linear and llama3 run", Name(kind)));
  }
  TempDir uneven;
  WriteTinyCheckpoint(uneven.path(), {.dtype = DType::kBF16, .uneven = true});
  model_.emplace(Checkpoint::Open(uneven.path()));
  EXPECT_ERROR(Decoder(kOptions),
               "this llama model has layers of different sizes; the GPU's kernels cannot compute that");
  TempDir gemma;
  WriteTinyCheckpoint(gemma.path(), {.family = Family::kGemma3, .dtype = DType::kBF16});
  model_.emplace(Checkpoint::Open(gemma.path()));
  EXPECT_ERROR(Decoder(kOptions),
               "this gemma3_text model has a rope of their own for layers with a window, a gate by gelu, norms behind "
               "attention and the feed-forward layer, a scaled embedding, scores scaled by query_pre_attn_scalar; the "
               "GPU's kernels cannot compute that");
}

TEST(CudaMachine, WithoutAGpuItSaysSo) {
  if (FindCudaDevice()) GTEST_SKIP() << "this machine has a GPU";
  EXPECT_ERROR(OpenCudaMachine(), "cuda: there is no GPU to run on: ");
}

}  // namespace
}  // namespace ecld
