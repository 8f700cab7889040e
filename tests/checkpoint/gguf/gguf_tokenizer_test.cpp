#include "checkpoint/gguf/gguf_tokenizer.h"

#include <gtest/gtest.h>

#include "checkpoint/tokenizer/pre_tokenizer.h"
#include "core/files.h"
#include "tests/checkpoint/gguf/tiny_gguf.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/temp_dir.h"

namespace ecld {
namespace {

Json Rebuild(const GgufBuilder& builder) {
  std::string bytes = builder.Bytes();
  GgufContents gguf = ParseGguf(std::as_bytes(std::span(bytes)), "m.gguf");
  return TokenizerJson(ReadGgufVocabulary(gguf), gguf.where);
}

GgufBuilder SentencePiece() {
  GgufBuilder file;
  file.Key("general.architecture", std::string("llama")).Key("tokenizer.ggml.model", std::string("llama"));
  file.Key("tokenizer.ggml.tokens",
           std::vector<std::string>{"<unk>", "<s>", "<0x0A>", "a", "b", "c", "bc", "ab", "abc"});
  file.Key("tokenizer.ggml.scores", std::vector<float>{0, 0, 0, -6, -7, -8, -1, -2, -3});
  file.Key("tokenizer.ggml.token_type", std::vector<int32_t>{2, 3, 6, 1, 1, 1, 1, 1, 1});
  file.Key("tokenizer.ggml.unknown_token_id", uint32_t{0}).Key("tokenizer.ggml.bos_token_id", uint32_t{1});
  return file;
}

TEST(GgufTokenizer, RebuildsAByteLevelBpe) {
  Json json = Rebuild(TinyGguf().Vocabulary());
  EXPECT_EQ(json["model"]["type"], "BPE");
  EXPECT_EQ(json["model"]["byte_fallback"], false);
  EXPECT_EQ(json["model"]["merges"], Json::parse(R"([["a", "b"]])"));
  // The unused token is left out; the others keep their ids.
  EXPECT_EQ(json["model"]["vocab"], Json::parse(R"({"<|end|>": 0, "a": 1, "b": 2, "ab": 3, "Ġ": 4, "<tool>": 5})"));
  ASSERT_EQ(json["added_tokens"].size(), 2u);
  EXPECT_EQ(json["added_tokens"][0]["content"], "<|end|>");
  EXPECT_EQ(json["added_tokens"][0]["special"], true);
  EXPECT_EQ(json["added_tokens"][1]["id"], 5);
  EXPECT_EQ(json["added_tokens"][1]["special"], false);
  EXPECT_EQ(json["post_processor"], nullptr);
  EXPECT_EQ(json["pre_tokenizer"], Json::parse(R"({"type": "Sequence", "pretokenizers": [
      {"type": "Digits", "individual_digits": true},
      {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}]})"));
}

TEST(GgufTokenizer, KnowsThePreTokenizersByName) {
  for (const char* name : {"llama-bpe",   "llama3",     "llama-v3",  "falcon3", "qwen2",        "deepseek-r1-qwen",
                           "tekken",      "smollm",     "starcoder", "refact",  "gpt-2",        "mpt",
                           "olmo",        "dbrx",       "smaug-bpe", "megrez",  "deepseek-llm", "deepseek-coder",
                           "deepseek-v3", "seed-coder", "minicpm5",  "viking",  "falcon",       "default"}) {
    EXPECT_FALSE(FindPreTokenizer(name, "m.gguf").pre_tokenizer.is_null()) << name;
  }
  EXPECT_EQ(FindPreTokenizer("qwen2", "").normalizer["type"], "NFC");
  EXPECT_TRUE(FindPreTokenizer("llama-bpe", "").ignore_merges);
  EXPECT_TRUE(FindPreTokenizer("llama3", "").add_bos);
  EXPECT_FALSE(FindPreTokenizer("smaug-bpe", "").add_bos);
  EXPECT_ERROR(FindPreTokenizer("klingon", "m.gguf"),
               "m.gguf: tokenizer.ggml.pre: pre-tokenizer \"klingon\" is not supported; llama-bpe, qwen2, tekken, ");
}

std::vector<std::string> Words(const std::string& pre, const std::string& text) {
  const Json json = FindPreTokenizer(pre, "m.gguf").pre_tokenizer;
  std::vector<std::string> words;
  PreTokenizer(JsonView(json, pre)).Split(text, true, [&](std::string_view word) { words.emplace_back(word); });
  return words;
}

// The rules as their models publish them, on what tells them apart.
TEST(GgufTokenizer, CutsTextsAsTheModelsDo) {
  using List = std::vector<std::string>;
  const std::string text = "it's 12345 ok!\n";
  EXPECT_EQ(Words("llama-bpe", text), (List{"it", "'s", " ", "123", "45", " ok", "!\n"}));
  EXPECT_EQ(Words("qwen2", text), (List{"it", "'s", " ", "1", "2", "3", "4", "5", " ok", "!\n"}));
  EXPECT_EQ(Words("smollm", text), (List{"it", "'s", " ", "1", "2", "3", "4", "5", " ok", "!", "\n"}));
  EXPECT_EQ(Words("gpt-2", text), (List{"it", "'s", " 12345", " ok", "!", "\n"}));
  EXPECT_EQ(Words("deepseek-llm", text), (List{"it", "'", "s", " ", "12345", " ok", "!", "\n"}));
  EXPECT_EQ(Words("deepseek-coder", text), (List{"it", "'", "s", " ", "1", "2", "3", "4", "5", " ok", "!", "\n"}));
  EXPECT_EQ(Words("deepseek-v3", text), (List{"it", "'s", " ", "123", "45", " ok", "!\n"}));
  EXPECT_EQ(Words("seed-coder", text), (List{"it", "'s", " ", "1", "2", "3", "4", "5", " ok", "!", "\n"}));
  EXPECT_EQ(Words("minicpm5", text), (List{"it", "'s", " ", "123", "45", " ok", "!\n"}));
  EXPECT_EQ(Words("viking", "so, 12 ok"), (List{"so", ",", " ", "1", "2", " ok"}));
  EXPECT_EQ(Words("falcon", text), (List{"it", "'", "s", " ", "123", "45", " ok", "!", "\n"}));
  EXPECT_EQ(Words("default", text), (List{"it", "'", "s", " ", "123", "45", " ok", "!", "\n"}));
  EXPECT_EQ(Words("default", "f(x)=`y`"), (List{"f", "(", "x", ")=", "`", "y", "`"}));
  // What is punctuation to it, from : to ~, has the letters of ASCII among it.
  EXPECT_EQ(Words("deepseek-llm", "na\u00efve \u4f60\u597d\u3002"),
            (List{"na", "\u00ef", "ve", " ", "\u4f60\u597d", "\u3002"}));
}

TEST(GgufTokenizer, AFileWithoutAPreTokenizerHasTheDefaultOne) {
  GgufBuilder file;
  const TinyGguf tiny;
  file.Key("tokenizer.ggml.model", std::string("gpt2")).Key("tokenizer.ggml.tokens", tiny.tokens);
  file.Key("tokenizer.ggml.merges", tiny.merges);
  EXPECT_EQ(Rebuild(file)["pre_tokenizer"], FindPreTokenizer("default", "").pre_tokenizer);
}

TEST(GgufTokenizer, AnEmptyTokenIsUnused) {
  TinyGguf tiny;
  tiny.tokens[4] = tiny.tokens[6] = "";
  tiny.kinds[4] = tiny.kinds[6] = 1;
  EXPECT_EQ(Rebuild(tiny.Vocabulary())["model"]["vocab"].size(), 5u);
}

TEST(GgufTokenizer, RebuildsASentencePieceBpe) {
  Json json = Rebuild(SentencePiece());
  EXPECT_EQ(json["model"]["unk_token"], "<unk>");
  EXPECT_EQ(json["model"]["byte_fallback"], true);
  EXPECT_EQ(json["model"]["fuse_unk"], true);
  EXPECT_EQ(json["model"]["vocab"]["<0x0A>"], 2);
  // By falling score of the whole; of the two ways to "abc", the longer left part first.
  EXPECT_EQ(json["model"]["merges"], Json::parse(R"([["b", "c"], ["a", "b"], ["ab", "c"], ["a", "bc"]])"));
  EXPECT_EQ(json["normalizer"]["normalizers"][0]["prepend"], "▁");
  EXPECT_EQ(json["decoder"]["decoders"].size(), 4u);
  EXPECT_EQ(json["post_processor"]["single"][0]["SpecialToken"]["id"], "<s>");
  EXPECT_EQ(json["post_processor"]["special_tokens"]["<s>"]["ids"], Json::parse("[1]"));

  GgufBuilder bare = SentencePiece();
  bare.Key("tokenizer.ggml.add_space_prefix", false).Key("tokenizer.ggml.add_bos_token", false);
  Json without = Rebuild(bare);
  EXPECT_EQ(without["normalizer"]["normalizers"].size(), 1u);
  EXPECT_EQ(without["decoder"]["decoders"].size(), 3u);
  EXPECT_EQ(without["post_processor"], nullptr);
}

TEST(GgufTokenizer, AddsTheEndOfText) {
  GgufBuilder file = TinyGguf().Vocabulary();
  file.Key("tokenizer.ggml.add_eos_token", true);
  Json single = Rebuild(file)["post_processor"]["single"];
  ASSERT_EQ(single.size(), 2u);
  EXPECT_EQ(single[0]["Sequence"]["id"], "A");
  EXPECT_EQ(single[1]["SpecialToken"]["id"], "<|end|>");
}

TEST(GgufTokenizer, WritesTheFilesBeside) {
  GgufBuilder builder = TinyGguf().File();
  builder.Key("tokenizer.ggml.eot_token_id", uint32_t{5}).Key("tokenizer.chat_template", std::string("{{ messages }}"));
  builder.Key("general.sampling.temp", 0.6f).Key("general.sampling.top_k", int32_t{20});
  builder.Key("tokenizer.ggml.eom_token_id", uint32_t{3});
  std::string bytes = builder.Bytes();
  TempDir directory;
  WriteTokenizerFiles(ParseGguf(std::as_bytes(std::span(bytes)), "m.gguf"), directory.path());
  Json config = ReadJsonFile(directory / "tokenizer_config.json");
  EXPECT_EQ(config["eos_token"], "<|end|>");
  EXPECT_EQ(config["add_bos_token"], false);
  EXPECT_EQ(config["model_max_length"], 128);
  EXPECT_EQ(config["chat_template"], "{{ messages }}");
  EXPECT_FALSE(config.contains("bos_token"));
  EXPECT_FALSE(config.contains("pad_token"));  // all ones stands for none
  Json generation = ReadJsonFile(directory / "generation_config.json");
  EXPECT_EQ(generation["eos_token_id"], Json::parse("[0, 5, 3]"));
  EXPECT_EQ(generation["temperature"].dump(), "0.6");
  EXPECT_EQ(generation["top_k"].dump(), "20");
  EXPECT_EQ(generation["do_sample"], true);
}

TEST(GgufTokenizer, RefusesBadVocabularies) {
  auto rebuild = [](TinyGguf tiny) { return Rebuild(tiny.Vocabulary()); };
  auto with_key = [](const char* key, auto value) {
    GgufBuilder file = TinyGguf().Vocabulary();
    file.Key(key, value);
    return Rebuild(file);
  };
  EXPECT_ERROR(rebuild({.kinds = {3, 1}}), "tokenizer.ggml.token_type: has 2 entries for 7 tokens");
  EXPECT_ERROR(rebuild({.kinds = {3, 1, 1, 1, 1, 4, 7}}), "token 6 has type 7; 1 to 6 exist");
  EXPECT_ERROR(rebuild({.tokens = {"<|end|>", "a", "b", "ab", "a", "<tool>", "<pad>"}}),
               "token 4 \"a\" is there twice");
  EXPECT_ERROR(rebuild({.tokens = {"<|end|>", "a", "b", "ab", "\xff", "<tool>", "<pad>"}}),
               "token 4 is not valid UTF-8");
  EXPECT_ERROR(rebuild({.tokens = {}, .kinds = {}}), "tokenizer.ggml.tokens: has no token");
  EXPECT_ERROR(rebuild({.merges = {"ab"}}), "merge \"ab\" is not two tokens");
  EXPECT_ERROR(rebuild({.merges = {""}}), "merge \"\" is not two tokens");
  EXPECT_ERROR(rebuild({.merges = {"b a"}}), "merge \"b a\" needs \"ba\", which is no token");
  EXPECT_ERROR(with_key("tokenizer.ggml.bos_token_id", uint32_t{7}), "bos_token_id 7 is outside the 7 tokens");
  EXPECT_ERROR(with_key("tokenizer.ggml.add_bos_token", true),
               "tokenizer.ggml.bos_token_id or eos_token_id is missing");
  GgufBuilder other;
  other.Key("tokenizer.ggml.model", std::string("t5"));
  EXPECT_ERROR(Rebuild(other),
               "tokenizer.ggml.model: tokenizer \"t5\" is not supported; gpt2 (byte-level BPE) and llama");
}

}  // namespace
}  // namespace ecld
