#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "checkpoint/export/export.h"
#include "checkpoint/export/format_export.h"
#include "checkpoint/gguf/gguf_file.h"
#include "checkpoint/gguf/gguf_import.h"
#include "checkpoint/tokenizer/chat_template.h"
#include "checkpoint/tokenizer/tokenizer.h"
#include "core/files.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/near.h"
#include "tests/testing/packed_checkpoint.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

class GgufExport : public testing::Test {
 protected:
  ExportPlan ExportModel() {
    return Export({.checkpoint = dir_ / "m", .target = ExportTarget::kGguf, .out = dir_ / "m.gguf", .overwrite = true});
  }

  // Exports, imports what was written, and compares everything with the original.
  void ExpectRoundTrip(const std::string& what) {
    ExportModel();
    ImportGguf(dir_ / "m.gguf", dir_ / "back", {.dtype = DType::kF32});
    const Checkpoint original = Checkpoint::Open(dir_ / "m"), back = Checkpoint::Open(dir_ / "back");
    const ModelConfig &a = original.config(), &b = back.config();
    EXPECT_EQ(a.rope_scaling.kind, b.rope_scaling.kind) << what;
    for (int64_t text_tok : {1, 512}) {
      const Rope expected = MakeRope(a, text_tok), found = MakeRope(b, text_tok);
      EXPECT_TRUE(Near(found.frequencies, expected.frequencies, {.max_abs = 1e-7})) << what;
      EXPECT_NEAR(found.attention_factor, expected.attention_factor, 1e-6) << what;
    }
    EXPECT_EQ(a.tie_embeddings, b.tie_embeddings) << what;
    // Which llama.cpp does not read: said in the plan.
    EXPECT_EQ(b.sliding_window, std::vector<int64_t>(a.sliding_window.size(), 0)) << what;
    ASSERT_EQ(original.table().size(), back.table().size()) << what;
    for (const TensorSpec& spec : original.table())
      EXPECT_TRUE(Near(back.ReadFloats(Find(back.table(), spec.role, spec.layer, spec.bias)), original.ReadFloats(spec),
                       Exact()))
          << what << ": " << spec.name;
    const std::string text = "<|im_start|>user\nthe one and of it's  12<|im_end|>";
    const auto ours = Tokenizer::Open(dir_ / "m"), theirs = Tokenizer::Open(dir_ / "back");
    EXPECT_EQ(ours->Encode(text, true), theirs->Encode(text, true)) << what;
    EXPECT_EQ(ours->eos(), theirs->eos()) << what;
    EXPECT_EQ(ReadChatTemplates(dir_ / "m").Find("default")->text,
              ReadChatTemplates(dir_ / "back").Find("default")->text)
        << what;
  }

  TempDir dir_;
};

TEST_F(GgufExport, ComesBackTheSameForEveryFamily) {
  const auto plain = RopeScaling::Kind::kNone;
  int number = 0;
  for (const TinyOptions& options :
       {TinyOptions{.family = Family::kLlama, .dtype = DType::kBF16, .tied = true},
        TinyOptions{
            .family = Family::kLlama, .dtype = DType::kF16, .bias = true, .rope_scaling = RopeScaling::Kind::kLlama3},
        TinyOptions{.family = Family::kQwen2, .dtype = DType::kBF16, .tied = true, .rope_scaling = plain},
        TinyOptions{.family = Family::kLlama, .dtype = DType::kBF16, .rope_scaling = RopeScaling::Kind::kLongRope},
        TinyOptions{.family = Family::kQwen3, .dtype = DType::kBF16, .head_dim = 32},
        TinyOptions{.family = Family::kQwen2, .dtype = DType::kBF16, .rope_scaling = RopeScaling::Kind::kYarn},
        TinyOptions{.family = Family::kMistral,
        .dtype = DType::kBF16,
        .rope_scaling = RopeScaling::Kind::kLinear,
        .sliding_window = 512}}) {
    fs::remove_all(dir_ / "m");
    WritePackedCheckpoint(dir_ / "m", PackedFormat{4, 32, true}, options, 9);
    ExpectRoundTrip("family " + std::to_string(number++));
  }
}

TEST_F(GgufExport, ComesBackTheSameForEveryFormat) {
  for (const PackedFormat& format :
       {PackedFormat{4, 32, false}, PackedFormat{8, 64, true}, PackedFormat{3, 0, true}, PackedFormat{2, 32, false}}) {
    fs::remove_all(dir_ / "m");
    // 96 inputs of down in groups of 64: a short last one.
    WritePackedCheckpoint(dir_ / "m", format, {.dtype = DType::kBF16});
    ExpectRoundTrip(format.Name());
  }
  for (DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
    fs::remove_all(dir_ / "m");
    WriteTinyCheckpoint(dir_ / "m", {.dtype = dtype});
    ExpectRoundTrip("dense " + std::string(Name(dtype)));
    const GgufFile file(dir_ / "m.gguf");
    EXPECT_EQ(InfoOf(file.contents().tensors.at("output.weight").type).name, Name(dtype));
    EXPECT_EQ(file.contents().tensors.at("output_norm.weight").type, GgmlType::kF32);
  }
}

TEST_F(GgufExport, TheSameInputGivesTheSameBytes) {
  WritePackedCheckpoint(dir_ / "m", PackedFormat{4, 32, true}, {.dtype = DType::kBF16});
  ExportModel();
  const std::string first = ReadFile(dir_ / "m.gguf");
  ExportModel();
  EXPECT_EQ(ReadFile(dir_ / "m.gguf"), first);
}

TEST_F(GgufExport, PlansTypesBytesAndNotes) {
  const PackedFormat asymmetric{4, 32, false};
  WritePackedCheckpoint(dir_ / "m",
                        QuantizationConfig{.groups = {{.name = "group_0", .targets = {"Linear"}, .format = asymmetric}},
                                           .ignore = {"lm_head"}},
                        {.family = Family::kMistral, .dtype = DType::kBF16, .sliding_window = 64});
  const ExportPlan plan = PlanExport({.checkpoint = dir_ / "m", .target = ExportTarget::kGguf, .out = dir_ / "m.gguf"});
  EXPECT_FALSE(fs::exists(dir_ / "m.gguf"));
  ASSERT_EQ(plan.rows.size(), 3u);
  EXPECT_EQ(plan.rows[0].to, "BF16");
  EXPECT_EQ(plan.rows[0].tensors, 2);  // embedding and head
  EXPECT_EQ(plan.rows[1].from + plan.rows[1].to, "BF16F32");
  EXPECT_EQ(plan.rows[2].from + plan.rows[2].to, "W4 g32 asymQ5_0");
  EXPECT_EQ(plan.rows[2].tensors, 14);
  ASSERT_EQ(plan.notes.size(), 2u);
  EXPECT_EQ(plan.notes[0],
            "llama.cpp ignores the sliding window of this architecture: beyond 64 tokens it attends to more");
  EXPECT_EQ(plan.notes[1], "14 matrices of W4 g32 asym become Q5_0, the smallest type of GGUF that holds them exactly");
  ExportModel();
  EXPECT_EQ(fs::file_size(dir_ / "m.gguf"), plan.output_B);
}

TEST_F(GgufExport, RefusesWhatGgufCannotSay) {
  auto expect = [&](const TinyOptions& options, const PackedFormat& format, const char* message) {
    fs::remove_all(dir_ / "m");
    WritePackedCheckpoint(dir_ / "m", format, options);
    EXPECT_ERROR(ExportModel(), message);
    EXPECT_FALSE(fs::exists(dir_ / "m.gguf"));
  };
  const PackedFormat w4{4, 32, true};
  expect({.dtype = DType::kBF16}, {4, 8, true},
         "config.json: model.embed_tokens: is W4 g8 sym; GGUF has a scale for 32");
  expect({}, w4, "config.json: model.embed_tokens: is W4 g32 sym: the scale 0.0");
  expect({.family = Family::kQwen2, .dtype = DType::kBF16, .sliding_window = 8}, w4,
         "config.json: sliding_window: some layers attend to 8 tokens only, which GGUF's qwen2 cannot say");
  expect({.family = Family::kQwen3, .dtype = DType::kBF16, .bias = true}, w4,
         "config.json: attention_bias: is true, but the qwen3 of llama.cpp has no biases and would not load them");
  expect({.family = Family::kQwen2, .dtype = DType::kBF16, .head_dim = 32}, w4,
         "config.json: num_attention_heads: 4 heads of 32 are 128 wide, but the qwen2 of llama.cpp takes them to be as "
         "wide as the states, 64, and would not load the file");
  expect({.dtype = DType::kBF16, .uneven = true}, w4,
         "this llama model has layers of different sizes; GGUF's llama, qwen2 and qwen3 cannot compute that");
  expect({.dtype = DType::kBF16, .vocab_size = 270}, w4,
         "tokenizer.json: has ids up to 282, but the model has an embedding of 270 rows");
}

TEST_F(GgufExport, NamedChatTemplatesComeBack) {
  WritePackedCheckpoint(dir_ / "m", PackedFormat{4, 32, true}, {.dtype = DType::kBF16}, 9);
  Json config = ReadJsonFile(dir_ / "m" / "tokenizer_config.json");
  config["chat_template"] = Json::parse(R"([{"name": "default", "template": "a"}, {"name": "tool_use", "template": "t"},
                                            {"name": "rag", "template": "r"}])");
  WriteJsonFile(dir_ / "m" / "tokenizer_config.json", config);
  ExpectRoundTrip("named templates");
  const ChatTemplateTexts back = ReadChatTemplates(dir_ / "back");
  EXPECT_EQ(back.templates.size(), 3);
  EXPECT_EQ(back.Find("tool_use")->text, "t");
  EXPECT_EQ(back.Find("rag")->text, "r");
}

TEST_F(GgufExport, RefusesWhatWouldNotReadBack) {
  WritePackedCheckpoint(dir_ / "m", PackedFormat{4, 32, true},
                        {.dtype = DType::kBF16, .rope_scaling = RopeScaling::Kind::kLlama3});
  Json config = ReadJsonFile(dir_ / "m/config.json");
  config["rope_scaling"]["high_freq_factor"] = 5.0;
  WriteJsonFile(dir_ / "m/config.json", config);
  EXPECT_ERROR(ExportModel(),
               "config.json: rope_scaling: has low_freq_factor 1 and high_freq_factor 5; 1 and 4 could be exported");
}

TEST_F(GgufExport, SaysYarnAsLlamaCppReadsIt) {
  WriteTinyCheckpoint(dir_ / "m", {.dtype = DType::kBF16, .rope_scaling = RopeScaling::Kind::kYarn});
  Json config = ReadJsonFile(dir_ / "m/config.json");
  const auto with = [&](const char* key, const Json& value) {
    Json changed = config;
    changed["rope_scaling"][key] = value;
    WriteJsonFile(dir_ / "m/config.json", changed);
  };
  const auto number = [&](const char* key) {
    const GgufFile file(dir_ / "m.gguf");
    const GgufValue* value = file.contents().Find(std::string("llama.rope.scaling.") + key);
    return value ? value->Number() : -1;
  };
  ExpectRoundTrip("plain");
  EXPECT_EQ(number("factor"), 4);
  EXPECT_EQ(number("original_context_length"), 64);
  EXPECT_EQ(number("attn_factor"), -1) << "what the factor gives is what llama.cpp takes";
  with("attention_factor", 1.5);
  ExpectRoundTrip("attention_factor");
  EXPECT_NEAR(number("attn_factor"), 1.5 / (0.1 * std::log(4) + 1), 1e-6);
  with("beta_fast", 8);
  ExpectRoundTrip("beta_fast");
  EXPECT_EQ(number("yarn_beta_fast"), 8);
  EXPECT_NE(ExportModel().notes.at(0).find("llama.cpp passes over beta_fast 8 and beta_slow 1"), std::string::npos);
  with("truncate", false);
  EXPECT_ERROR(ExportModel(), "config.json: rope_scaling: has truncate false, which GGUF cannot say");
}

TEST_F(GgufExport, RefusesRopesThatLlamaCppDoesNotHave) {
  const auto expect = [&](Family family, RopeScaling::Kind kind, const char* message) {
    fs::remove_all(dir_ / "m");
    WriteTinyCheckpoint(dir_ / "m", {.family = family, .rope_scaling = kind});
    EXPECT_ERROR(ExportModel(), message);
  };
  expect(Family::kLlama, RopeScaling::Kind::kDynamic,
         "config.json: rope_scaling: rope type \"dynamic\" depends on the length of a text, which GGUF cannot say");
  expect(Family::kQwen2, RopeScaling::Kind::kLongRope,
         "rope type \"longrope\" needs a tensor which llama.cpp has for llama, not for qwen2");
  expect(Family::kQwen3, RopeScaling::Kind::kLlama3,
         "rope type \"llama3\" needs a tensor which llama.cpp has for llama, not for qwen3");
}

TEST_F(GgufExport, RefusesArchitecturesItWasNotTaught) {
  WriteTinyCheckpoint(dir_ / "m", {.family = Family::kGemma3});
  EXPECT_ERROR(ExportModel(),
               "config.json: models of type gemma3_text are not written as GGUF; llama, qwen2, qwen3 and mistral are");
}

TEST_F(GgufExport, RefusesTokenizersItCannotCarry) {
  WritePackedCheckpoint(dir_ / "m", PackedFormat{4, 32, true}, {.dtype = DType::kBF16});
  const fs::path path = dir_ / "m/tokenizer.json";
  const Json original = ReadJsonFile(path);
  auto with = [&](const char* key, const Json& value) {
    Json json = original;
    json[Json::json_pointer(key)] = value;
    WriteJsonFile(path, json);
  };
  with("/pre_tokenizer",
       {{"type", "Sequence"},
        {"pretokenizers",
         {{{"type", "Digits"}, {"individual_digits", false}}, {{"type", "ByteLevel"}, {"add_prefix_space", false}}}}});
  EXPECT_ERROR(ExportModel(),
               "tokenizer.json: pre_tokenizer: is none that GGUF has a name for here; those of llama-bpe");
  with("/normalizer", {{"type", "Lowercase"}});
  EXPECT_ERROR(ExportModel(), "tokenizer.json: normalizer: is none that GGUF can say");
  Json unigram = original;
  unigram["model"] = Json::parse(R"({"type": "Unigram", "vocab": [["a", 0], ["b", -1]]})");
  unigram["added_tokens"] = Json::array();
  unigram["post_processor"] = nullptr;
  WriteJsonFile(path, unigram);
  EXPECT_ERROR(ExportModel(), "tokenizer.json: model: is a Unigram model, which cannot be written as GGUF");
  // Words that are tokens are taken whole, though no merges lead to them: GGUF's name for this pre-tokenizer says no.
  Json whole = original;
  whole["model"]["ignore_merges"] = true;
  whole["model"]["vocab"]["zebra"] = 283;
  WriteJsonFile(path, whole);
  EXPECT_ERROR(ExportModel(), "tokenizer.json: GGUF cannot say all that it does: \" of\" has the ids 282");
  with("/post_processor",
       {{"type", "TemplateProcessing"},
        {"single", {{{"SpecialToken", {{"id", "a"}, {"type_id", 0}}}}, {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}}},
        {"pair", Json::array()},
        {"special_tokens", {{"a", {{"id", "a"}, {"ids", {0, 1}}, {"tokens", {"a", "b"}}}}}}});
  EXPECT_ERROR(ExportModel(), "tokenizer.json: post_processor: puts 2 tokens before a text; GGUF can say one");
  fs::remove(path);
  EXPECT_ERROR(ExportModel(), "holds no tokenizer.json, which the vocabulary of a GGUF file is made from");
}

// llama.cpp puts sentencepiece's space before a text after a special token too; a LlamaTokenizer that is not legacy
// does not.
TEST_F(GgufExport, SaysWhereLlamaCppPutsASpace) {
  WritePackedCheckpoint(dir_ / "m", PackedFormat{4, 32, true}, {.dtype = DType::kBF16});
  const std::string mark = "\xe2\x96\x81";
  Json json = {{"added_tokens", Json::array()}, {"decoder", {{"type", "Fuse"}}}};
  json["model"] = {{"type", "BPE"}, {"byte_fallback", true}, {"merges", Json::array({Json::array({mark, "a"})})}};
  json["model"]["vocab"] = {{"<unk>", 0}, {"<s>", 1}, {"</s>", 2}, {"a", 3}, {mark, 4}, {mark + "a", 5}};
  WriteJsonFile(dir_ / "m/tokenizer.json", json);
  for (const bool legacy : {false, true}) {
    WriteJsonFile(dir_ / "m/tokenizer_config.json", {{"tokenizer_class", "LlamaTokenizer"}, {"legacy", legacy}});
    const auto notes = ExportModel().notes;
    auto said = [&](const char* note) { return std::find(notes.begin(), notes.end(), note) != notes.end(); };
    EXPECT_TRUE(said("text that starts with a space gets one more from llama.cpp"));
    EXPECT_EQ(said("text after a special token starts without a space, where llama.cpp puts one"), !legacy);
  }
}

TEST_F(GgufExport, VerifyingFindsAFlippedBit) {
  WritePackedCheckpoint(dir_ / "m", PackedFormat{4, 32, true}, {.dtype = DType::kBF16});
  const Checkpoint in = Checkpoint::Open(dir_ / "m");
  const auto format = MakeGgufExport(in);
  format->Write(dir_ / "m.gguf");
  format->Verify(dir_ / "m.gguf");
  std::string bytes = ReadFile(dir_ / "m.gguf");
  bytes[bytes.size() - 200] ^= 0x10;
  std::ofstream(dir_ / "m.gguf", std::ios::binary) << bytes;
  EXPECT_ERROR(format->Verify(dir_ / "m.gguf"), "was written wrongly: lm_head.weight reads back as");
}

}  // namespace
}  // namespace ecld
