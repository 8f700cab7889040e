#include "checkpoint/gguf/gguf_import.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "checkpoint/checkpoint.h"
#include "checkpoint/gguf/gguf_weights.h"
#include "core/files.h"
#include "tests/checkpoint/gguf/tiny_gguf.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/near.h"
#include "tests/testing/temp_dir.h"

namespace ecld {
namespace {

class GgufImport : public testing::Test {
 protected:
  Checkpoint Import(const GgufBuilder& builder, const ImportOptions& options = {}) {
    ImportGguf(builder.Write(directory_ / "m.gguf"), directory_ / "out", options);
    return Checkpoint::Open(directory_ / "out");
  }

  static std::vector<float> Values(const Checkpoint& checkpoint, Role role, int64_t layer = -1, bool bias = false) {
    return checkpoint.ReadFloats(Find(checkpoint.table(), role, layer, bias));
  }

  // Rows of eight elements that count up from row * 8, in this order.
  static std::vector<float> Rows(const std::vector<int>& order) {
    std::vector<float> values;
    for (int row : order) {
      for (int i = 0; i < 8; ++i) values.push_back(static_cast<float>(row * 8 + i));
    }
    return values;
  }

  TempDir directory_;
};

TEST_F(GgufImport, UndoesTheRowOrderOfLlama) {
  Checkpoint checkpoint = Import(TinyGguf().File());
  EXPECT_EQ(checkpoint.config().family, Family::kLlama);
  // Per head of four rows: GGUF has first, third, second, fourth.
  EXPECT_TRUE(Near(Values(checkpoint, Role::kQuery, 1), Rows({0, 2, 1, 3, 4, 6, 5, 7}), Exact()));
  EXPECT_TRUE(Near(Values(checkpoint, Role::kKey, 0), Rows({0, 2, 1, 3}), Exact()));
  EXPECT_TRUE(Near(Values(checkpoint, Role::kValue, 0), Rows({0, 1, 2, 3}), Exact()));
  EXPECT_TRUE(Near(Values(checkpoint, Role::kEmbedding), Rows({0, 1, 2, 3, 4, 5, 6}), Exact()));
}

TEST_F(GgufImport, KeepsTheRowOrderOfQwen) {
  for (const char* architecture : {"qwen2", "qwen3"}) {
    Checkpoint checkpoint = Import(TinyGguf{.architecture = architecture}.File());
    EXPECT_EQ(Name(checkpoint.config().family), architecture);
    EXPECT_EQ(checkpoint.config().head_dim, 4);
    EXPECT_TRUE(Near(Values(checkpoint, Role::kQuery, 0), Rows({0, 1, 2, 3, 4, 5, 6, 7}), Exact()));
    if (checkpoint.config().family == Family::kQwen2) {
      EXPECT_TRUE(Near(Values(checkpoint, Role::kKey, 1, true), std::vector<float>{0, 1, 2, 3}, Exact()));
    } else {
      EXPECT_TRUE(Near(Values(checkpoint, Role::kKeyNorm, 1), std::vector<float>{0, 1, 2, 3}, Exact()));
    }
  }
}

TEST_F(GgufImport, UndoesTheOrderOfBiasesToo) {
  GgufBuilder file = TinyGguf().File();
  for (const char* block : {"blk.0.", "blk.1."}) {
    std::string prefix = block;
    TinyGguf::Indexed(file, prefix + "attn_q.bias", {8});
    for (const char* name : {"attn_k.bias", "attn_v.bias"}) TinyGguf::Indexed(file, prefix + name, {4});
    TinyGguf::Indexed(file, prefix + "attn_output.bias", {8});
  }
  Checkpoint checkpoint = Import(file);
  EXPECT_TRUE(Near(Values(checkpoint, Role::kQuery, 1, true), std::vector<float>{0, 2, 1, 3, 4, 6, 5, 7}, Exact()));
  EXPECT_TRUE(Near(Values(checkpoint, Role::kValue, 1, true), std::vector<float>{0, 1, 2, 3}, Exact()));
}

TEST(UndoHeadInterleave, IsTheInverseOfInterleaving) {
  constexpr int64_t kHeads = 3, kHeadDim = 8, kColumns = 2;
  std::vector<float> plain(kHeads * kHeadDim * kColumns), interleaved(plain.size()), undone(plain.size());
  for (size_t i = 0; i < plain.size(); ++i) plain[i] = static_cast<float>(i);
  // [heads, 2, head_dim / 2] to [heads, head_dim / 2, 2], as the converter to GGUF does.
  for (int64_t row = 0; row < kHeads * kHeadDim; ++row) {
    int64_t head = row / kHeadDim, side = row % kHeadDim / (kHeadDim / 2), pair = row % (kHeadDim / 2);
    for (int64_t c = 0; c < kColumns; ++c) {
      interleaved[(head * kHeadDim + pair * 2 + side) * kColumns + c] = plain[row * kColumns + c];
    }
  }
  UndoHeadInterleave(interleaved, kHeadDim, kColumns, undone);
  EXPECT_TRUE(Near(undone, plain, Exact()));
}

TEST_F(GgufImport, WritesTheConfig) {
  Json tied = ToJson(Import(TinyGguf().File()).config());
  EXPECT_EQ(tied["architectures"], Json({"LlamaForCausalLM"}));
  EXPECT_EQ(tied["vocab_size"], 7);
  EXPECT_EQ(tied["intermediate_size"], 12);
  EXPECT_EQ(tied["num_key_value_heads"], 1);
  EXPECT_EQ(tied["rms_norm_eps"].dump(), "1e-05");
  EXPECT_EQ(tied["rope_theta"], 10000.0);
  EXPECT_EQ(tied["rope_scaling"], nullptr);
  EXPECT_EQ(tied["tie_word_embeddings"], true);
  EXPECT_EQ(tied["torch_dtype"], "bfloat16");
  EXPECT_EQ(tied["eos_token_id"], 0);
  EXPECT_FALSE(tied.contains("bos_token_id"));

  Checkpoint untied = Import(TinyGguf{.tied = false}.File(), {.dtype = DType::kF16});
  EXPECT_FALSE(untied.config().tie_embeddings);
  EXPECT_EQ(untied.config().dtype, DType::kF16);
  EXPECT_TRUE(Near(Values(untied, Role::kHead), Rows({0, 1, 2, 3, 4, 5, 6}), Exact()));
}

// llama.cpp reads no window for this architecture, so that the file is a model without one, there and here.
TEST_F(GgufImport, ASlidingWindowOfALlamaIsPassedOverAsInLlamaCpp) {
  GgufBuilder file = TinyGguf().File();
  file.Key("llama.attention.sliding_window", uint32_t{32});
  testing::internal::CaptureStderr();
  Checkpoint checkpoint = Import(file);
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              testing::HasSubstr("attention.sliding_window 32 is passed over, as llama.cpp does"));
  EXPECT_EQ(checkpoint.config().family, Family::kLlama);
  EXPECT_EQ(checkpoint.config().sliding_window, (std::vector<int64_t>{0, 0}));
}

// The divisors as Llama 3.1 has them, from the rule in its paper's code: low 1, high 4, original length 8192.
std::vector<float> Llama3Divisors(int64_t head_dim, double factor) {
  std::vector<float> divisors;
  for (int64_t i = 0; i < head_dim; i += 2) {
    double turns = 8192 * std::pow(500000.0, -static_cast<double>(i) / static_cast<double>(head_dim));
    double smooth = std::clamp((turns / (2 * std::numbers::pi) - 1) / 3, 0.0, 1.0);
    divisors.push_back(static_cast<float>(1 / ((1 - smooth) / factor + smooth)));
  }
  return divisors;
}

TEST_F(GgufImport, ReadsLlama3RopeScaling) {
  GgufBuilder file = TinyGguf{.head_dim = 64}.File();
  file.Key("llama.rope.freq_base", 500000.0f);
  std::vector<float> divisors = Llama3Divisors(64, 32);
  GgufBuilder right = file, wrong = file, narrow = file;
  right.Floats("rope_freqs.weight", {32}, divisors);
  RopeScaling scaling = Import(right).config().rope_scaling;
  EXPECT_EQ(scaling.kind, RopeScaling::Kind::kLlama3);
  EXPECT_EQ(scaling.factor, 32);
  EXPECT_EQ(scaling.low_freq_factor, 1);
  EXPECT_EQ(scaling.high_freq_factor, 4);
  EXPECT_EQ(scaling.original_max_position, 8192);

  divisors[3] = 1.01f;
  wrong.Floats("rope_freqs.weight", {32}, divisors);
  EXPECT_ERROR(Import(wrong), "tensor rope_freqs.weight: value 1.0099999904632568 at 3 is not that of the llama3 rope");
  narrow.Floats("rope_freqs.weight", {16}, std::vector<float>(16, 1));
  EXPECT_ERROR(Import(narrow), "tensor rope_freqs.weight: expected 32 values of type F32, found 16 of type F32");
}

TEST_F(GgufImport, ReadsLinearRopeScaling) {
  GgufBuilder linear = TinyGguf().File();
  linear.Key("llama.rope.scaling.type", std::string("linear")).Key("llama.rope.scaling.factor", 4.0f);
  Checkpoint scaled = Import(linear);
  EXPECT_EQ(scaled.config().rope_scaling.kind, RopeScaling::Kind::kLinear);
  EXPECT_EQ(scaled.config().rope_scaling.factor, 4);
}

// What llama.cpp computes for these keys: cosine and sine times (0.1 log(factor) + 1) times attn_factor.
TEST_F(GgufImport, ReadsYarn) {
  GgufBuilder yarn = TinyGguf().File();
  yarn.Key("llama.rope.scaling.type", std::string("yarn")).Key("llama.rope.scaling.factor", 4.0f);
  const RopeScaling plain = Import(yarn).config().rope_scaling;
  EXPECT_EQ(plain.kind, RopeScaling::Kind::kYarn);
  EXPECT_EQ(plain.factor, 4);
  EXPECT_EQ(plain.original_max_position, 128) << "context_length";
  EXPECT_DOUBLE_EQ(plain.attention_factor, 0.1 * std::log(4) + 1);
  EXPECT_EQ(plain.beta_fast, 32);
  EXPECT_TRUE(plain.truncate);

  yarn.Key("llama.rope.scaling.original_context_length", uint32_t{32}).Key("llama.rope.scaling.finetuned", true);
  yarn.Key("llama.rope.scaling.yarn_beta_fast", 16.0f).Key("llama.rope.scaling.yarn_beta_slow", 2.0f);
  GgufBuilder sharper = yarn, deepseek = yarn;
  sharper.Key("llama.rope.scaling.attn_factor", 1.5f).Key("llama.rope.scaling.yarn_ext_factor", 1.0f);
  const RopeScaling full = Import(sharper).config().rope_scaling;
  EXPECT_EQ(full.original_max_position, 32);
  EXPECT_EQ(full.beta_fast, 16);
  EXPECT_EQ(full.beta_slow, 2);
  EXPECT_NEAR(full.attention_factor, 1.5 * (0.1 * std::log(4) + 1), 1e-6);
  deepseek.Key("llama.rope.scaling.yarn_log_multiplier", 2.0f);
  EXPECT_NEAR(Import(deepseek).config().rope_scaling.attention_factor,
              (0.1 * std::log(4) + 1) / (0.2 * std::log(4) + 1), 1e-6);
}

TEST_F(GgufImport, ReadsLongRope) {
  GgufBuilder file = TinyGguf().File();
  file.Key("llama.rope.scaling.type", std::string("longrope")).Key("llama.rope.scaling.attn_factor", 1.19f);
  file.Key("llama.rope.scaling.original_context_length", uint32_t{32});
  EXPECT_ERROR(Import(file), "has no tensor rope_factors_short.weight, which rope type \"longrope\" needs");
  file.Floats("rope_factors_short.weight", {2}, {1.0f, 1.1f}).Floats("rope_factors_long.weight", {2}, {1.5f, 8.0f});
  const RopeScaling scaling = Import(file).config().rope_scaling;
  EXPECT_EQ(scaling.kind, RopeScaling::Kind::kLongRope);
  EXPECT_EQ(scaling.short_factor, (std::vector<double>{1, 1.1}));
  EXPECT_EQ(scaling.long_factor, (std::vector<double>{1.5, 8}));
  EXPECT_EQ(scaling.attention_factor, 1.19);
  EXPECT_EQ(scaling.original_max_position, 32);
}

TEST_F(GgufImport, RefusesRopesThatAConfigCannotSay) {
  const auto with = [](std::initializer_list<std::pair<const char*, float>> numbers, const std::string& type = "") {
    GgufBuilder file = TinyGguf().File();
    if (!type.empty()) file.Key("llama.rope.scaling.type", type);
    for (const auto& [key, number] : numbers) file.Key(std::string("llama.rope.scaling.") + key, number);
    return file;
  };
  EXPECT_ERROR(Import(with({}, "ntk")),
               "llama.rope.scaling.type: \"ntk\" is not supported; none, linear, yarn, longrope");
  EXPECT_ERROR(Import(with({{"attn_factor", 1.5f}})),
               "llama.rope.scaling.attn_factor: is 1.5, which rope type \"none\" of a config cannot say");
  EXPECT_ERROR(Import(with({{"factor", 4.0f}, {"yarn_ext_factor", 0.5f}}, "yarn")),
               "yarn_ext_factor: is 0.5, which a config cannot say; 1 can");
  EXPECT_ERROR(Import(with({{"factor", 4.0f}, {"yarn_attn_factor", 2.0f}}, "yarn")),
               "yarn_attn_factor: is 2, but llama.cpp passes over it in this architecture and multiplies by 1.13");
  EXPECT_ERROR(Import(with({{"alpha", 1000.0f}})),
               "llama.rope.scaling.alpha: is not known, so what it does to positions");
  GgufBuilder stray = with({{"factor", 4.0f}}, "yarn"), scaled = with({{"factor", 2.0f}}, "longrope");
  stray.Floats("rope_factors_long.weight", {2}, {1, 2});
  EXPECT_ERROR(Import(stray), "tensor rope_factors_long.weight: needs rope type \"longrope\", found \"yarn\"");
  GgufBuilder two = TinyGguf{.head_dim = 64}.File();
  two.Key("llama.rope.freq_base", 500000.0f).Key("llama.rope.scaling.type", std::string("yarn"));
  two.Floats("rope_freqs.weight", {32}, Llama3Divisors(64, 32));
  EXPECT_ERROR(Import(two), "tensor rope_freqs.weight: and rope type \"yarn\" with factor 1 in one model");
  scaled.Floats("rope_factors_short.weight", {2}, {1, 1}).Floats("rope_factors_long.weight", {2}, {1, 2});
  EXPECT_ERROR(Import(scaled), "factor: is 2 beside rope type \"longrope\", expected none");
}

TEST_F(GgufImport, RefusesOtherModels) {
  EXPECT_ERROR(Import(TinyGguf{.architecture = "gemma2"}.File()),
               "m.gguf: general.architecture: \"gemma2\" is not supported; llama, qwen2 and qwen3 are");
  auto with = [](const char* key, auto value) {
    GgufBuilder file = TinyGguf().File();
    file.Key(key, value);
    return file;
  };
  EXPECT_ERROR(Import(with("llama.expert_count", uint32_t{8})), "a mixture of experts is not supported");
  EXPECT_ERROR(Import(with("llama.rope.dimension_count", uint32_t{2})), "2 of 4 dimensions: partial rotary");
  EXPECT_ERROR(Import(with("llama.attention.value_length", uint32_t{6})), "6 differs from the key length 4");
  EXPECT_ERROR(Import(TinyGguf().WithSizes(TinyGguf().Vocabulary())), "has no tensor token_embd.weight");
  GgufBuilder uneven = TinyGguf().Vocabulary();
  uneven.Key("llama.embedding_length", uint32_t{8}).Key("llama.attention.head_count", std::vector<int32_t>{2, 1});
  EXPECT_ERROR(Import(TinyGguf().WithTensors(uneven)), "llama.attention.head_count: differs from layer to layer");
}

TEST_F(GgufImport, RefusesMissingStrayAndMisshapenTensors) {
  GgufBuilder missing = TinyGguf().File(), stray = missing, misshapen = missing;
  auto named = [](GgufBuilder& file, const char* name) {
    return std::find_if(file.tensors.begin(), file.tensors.end(), [&](const auto& info) { return info.name == name; });
  };
  missing.tensors.erase(named(missing, "blk.1.ffn_up.weight"));
  EXPECT_ERROR(Import(missing), "has no tensor blk.1.ffn_up.weight, which becomes model.layers.1.mlp.up_proj.weight");
  stray.Floats("blk.0.attn_q_norm.weight", {4}, {1, 1, 1, 1});
  EXPECT_ERROR(Import(stray), "tensor blk.0.attn_q_norm.weight has no place in a model of this architecture");
  named(misshapen, "blk.0.attn_k.weight")->shape = {4, 8};
  EXPECT_ERROR(Import(misshapen), "tensor blk.0.attn_k.weight has shape [8, 4], expected [4, 8]");
}

TEST_F(GgufImport, LeavesOutWhatNoLogitDependsOn) {
  const Checkpoint plain = Import(TinyGguf().File());
  const std::vector<float> norm = Values(plain, Role::kFinalNorm);
  GgufBuilder file = TinyGguf().File();
  for (const char* name : {"blk.0.attn_rot_embd", "blk.1.attn_rot_embd.weight", "v.blk.0.attn_q.weight", "mm.0.weight",
                           "blk.1.nextn.enorm.weight", "blk.2.nextn.eh_proj.weight", "blk.2.attn_q.weight"})
    TinyGguf::Indexed(file, name, {4});
  EXPECT_TRUE(Near(Values(Import(file), Role::kFinalNorm), norm, Exact()));

  GgufBuilder counted = TinyGguf{.blocks = 3}.File();  // the third predicts a further token
  counted.Key("llama.nextn_predict_layers", uint32_t{1});
  TinyGguf::Indexed(counted, "blk.2.nextn.eh_proj.weight", {4});
  EXPECT_EQ(Import(counted).config().num_layers, 2);

  GgufBuilder block = TinyGguf().File(), scale = block, output_scale = block;
  TinyGguf::Indexed(block, "blk.2.attn_q.weight", {4});
  EXPECT_ERROR(Import(block), "tensor blk.2.attn_q.weight has no place in a model of this architecture");
  TinyGguf::Indexed(scale, "blk.0.attn_q.scale", {1});
  EXPECT_ERROR(Import(scale), "tensor blk.0.attn_q.scale scales weights, which is not supported");
  TinyGguf::Indexed(output_scale, "blk.0.ffn_up.input_scale", {1});
  EXPECT_ERROR(Import(output_scale), "tensor blk.0.ffn_up.input_scale scales weights");
}

TEST_F(GgufImport, SaysWhatACheckpointWillNotHave) {
  GgufBuilder file = TinyGguf{.pre = "default"}.File();
  file.Key("llama.vocab_size", uint32_t{9}).Key("llama.flux_capacitor", 1.21f);
  TinyGguf::Indexed(file, "blk.0.attn_rot_embd", {4});
  testing::internal::CaptureStderr();
  Import(file);
  const std::string log = testing::internal::GetCapturedStderr();
  for (const char* line :
       {"m.gguf: llama.vocab_size: is 9, but the embedding has 7 rows, which count",
        "m.gguf: keys that are not known are left out: llama.flux_capacitor",
        "m.gguf: tensors that no logit depends on are left out: blk.0.attn_rot_embd",
        "m.gguf: tokenizer.ggml.pre is \"default\": texts are cut into words as llama.cpp does by default",
        "in 21 tensors (21 of F32) become 2.1 kB of BF16"})
    EXPECT_NE(log.find(line), std::string::npos) << line << "\n" << log;
  testing::internal::CaptureStderr();
  Import(TinyGguf().File());
  EXPECT_EQ(testing::internal::GetCapturedStderr().find("warning"), std::string::npos);
}

TEST_F(GgufImport, RefusesValuesThatDoNotFit) {
  for (float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), 1e6f}) {
    GgufBuilder file = TinyGguf{.tied = false}.Metadata();
    file = TinyGguf().WithTensors(file);
    std::vector<float> head(7 * 8);
    head[9] = bad;
    file.Floats("output.weight", {7, 8}, head);
    EXPECT_ERROR(Import(file, {.dtype = DType::kF16}), "at element 9 cannot be stored as F16");
  }
  EXPECT_ERROR(Import(TinyGguf().File(), {.dtype = DType::kI8}), "I8 is not a type to import into");
}

TEST_F(GgufImport, PublishesWholeOrNothing) {
  namespace fs = std::filesystem;
  GgufBuilder broken = TinyGguf{.pre = "klingon"}.File();
  EXPECT_ERROR(Import(broken), "\"klingon\" is not supported");
  EXPECT_FALSE(fs::exists(directory_ / "out"));
  Import(TinyGguf().File());
  EXPECT_FALSE(fs::exists(directory_ / "out.partial"));
  EXPECT_FALSE(fs::exists(directory_ / "out" / "tokenizer"));
  // A second import replaces a checkpoint, a failed one leaves it, and nothing else is ever replaced.
  Import(TinyGguf().File(), {.dtype = DType::kF32});
  EXPECT_ERROR(Import(broken), "klingon");
  EXPECT_EQ(Checkpoint::Open(directory_ / "out").config().dtype, DType::kF32);
  fs::path foreign = directory_ / "documents";
  fs::create_directory(foreign);
  WriteFileAtomically(foreign / "letter.txt", "Dear");
  EXPECT_ERROR(ImportGguf(directory_ / "m.gguf", foreign), "exists and is no checkpoint; it would be replaced");
  EXPECT_ERROR(ImportGguf(directory_ / "m.gguf", directory_.path()), "output contains the input");
}

}  // namespace
}  // namespace ecld
