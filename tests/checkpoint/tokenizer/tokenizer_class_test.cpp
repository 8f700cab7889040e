// What the files beside a tokenizer change: the class that transformers builds, added tokens wherever they stand.

#include "checkpoint/tokenizer/tokenizer_class.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "checkpoint/tokenizer/tokenizer.h"
#include "core/files.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/temp_dir.h"

namespace ecld {
namespace {

using Ids = std::vector<int32_t>;

constexpr const char* kMark = "\xe2\x96\x81";  // U+2581

// 14 tokens, byte-level; digits are words of their own.
Json ByteLevelFile() {
  return Json::parse(R"({
    "added_tokens": [{"id": 0, "content": "<s>", "special": true, "normalized": false}],
    "normalizer": {"type": "Lowercase"},
    "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": true},
                      {"type": "ByteLevel", "add_prefix_space": false}]},
    "decoder": {"type": "ByteLevel"},
    "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
                       {"Sequence": {"id": "A", "type_id": 0}}], "special_tokens": {"<s>": {"id": "<s>", "ids": [0]}}},
    "model": {"type": "BPE", "vocab": {"<s>": 0, "a": 1, "b": 2, "A": 3, "1": 4, "2": 5, "12": 6, "<": 7, ">": 8,
              "p": 9, "x": 10, "\u0120": 11, "q": 12, "|": 13}, "merges": [["1", "2"]]}
  })");
}

// 6 tokens, as sentencepiece models look when converted.
Json PiecesFile() {
  Json json = Json::parse(R"({
    "added_tokens": [{"id": 0, "content": "<unk>", "special": true, "normalized": false},
                     {"id": 1, "content": "<s>", "special": true, "normalized": false}],
    "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true, "merges": [],
              "vocab": {"<unk>": 0, "<s>": 1, "</s>": 2, "a": 3}}
  })");
  json["model"]["vocab"][kMark] = 4;
  json["model"]["vocab"][kMark + std::string("a")] = 5;
  json["model"]["merges"].push_back({kMark, "a"});
  const Json to_mark = {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", kMark}};
  json["normalizer"] = {{"type", "Sequence"},
                        {"normalizers", Json::array({Json{{"type", "Prepend"}, {"prepend", kMark}}, to_mark})}};
  json["decoder"] = {{"type", "Replace"}, {"pattern", {{"String", kMark}}}, {"content", " "}};
  return json;
}

class TokenizerClass : public testing::Test {
 protected:
  void Write(const char* name, const Json& json) { WriteJsonFile(dir_ / name, json); }
  Ids Encode(const std::string& text) { return Tokenizer::Open(dir_.path())->Encode(text, true); }

  TempDir dir_;
};

TEST_F(TokenizerClass, AByteLevelClassBringsItsOwnSteps) {
  Write("tokenizer.json", ByteLevelFile());
  EXPECT_EQ(Encode("A12"), (Ids{0, 1, 4, 5}));  // lower case, digits one by one
  for (const char* name : {"PreTrainedTokenizerFast", "LlamaTokenizer", "Unknown"}) {
    Write("tokenizer_config.json", {{"tokenizer_class", name}});
    EXPECT_EQ(Encode("A12"), (Ids{0, 1, 4, 5})) << name;
  }
  Write("tokenizer_config.json", {{"tokenizer_class", "GPT2Tokenizer"}});
  EXPECT_EQ(Encode("A12"), (Ids{0, 3, 6}));  // neither
  Write("tokenizer_config.json", {{"tokenizer_class", "GPT2Tokenizer"}, {"add_prefix_space", true}});
  EXPECT_EQ(Encode("A12"), (Ids{0, 11, 3, 6}));
  Write("tokenizer_config.json", {{"tokenizer_class", "Qwen2TokenizerFast"}});
  EXPECT_EQ(Encode("A12"), (Ids{0, 3, 4, 5}));  // digits one by one, no lower case
}

TEST_F(TokenizerClass, TheModelTypeHasAWord) {
  Write("tokenizer.json", ByteLevelFile());
  Write("tokenizer_config.json", {{"tokenizer_class", "GPT2Tokenizer"}});
  Write("config.json", {{"model_type", "mistral"}});  // takes the file as it stands
  EXPECT_EQ(Encode("A12"), (Ids{0, 1, 4, 5}));
  Write("config.json", {{"model_type", "qwen2"}});  // always its own
  EXPECT_EQ(Encode("A12"), (Ids{0, 3, 4, 5}));
  Write("config.json", {{"model_type", "qwen3"}});  // what is named
  EXPECT_EQ(Encode("A12"), (Ids{0, 3, 6}));
  Write("tokenizer_config.json", Json::object());  // and its own where nothing is
  EXPECT_EQ(Encode("A12"), (Ids{0, 3, 4, 5}));
  Write("config.json", {{"model_type", "llama"}, {"tokenizer_class", "GPT2Tokenizer"}});
  EXPECT_EQ(Encode("A12"), (Ids{0, 3, 6}));
}

TEST_F(TokenizerClass, LlamaPutsASpaceBeforeTheTextOnly) {
  Write("tokenizer.json", PiecesFile());
  EXPECT_EQ(Encode("a<s>a?"), (Ids{5, 1, 5, 0}));
  Write("tokenizer_config.json", {{"tokenizer_class", "LlamaTokenizer"}});
  EXPECT_EQ(Encode("a<s>a?"), (Ids{5, 1, 3}));  // and what has no token is left out
  EXPECT_EQ(Encode("a</s>"), (Ids{5, 2}));      // a token by default
  Write("tokenizer_config.json", {{"tokenizer_class", "LlamaTokenizer"}, {"legacy", true}});
  EXPECT_EQ(Encode("a<s>a"), (Ids{5, 1, 5}));
  Write("tokenizer_config.json", {{"tokenizer_class", "LlamaTokenizer"}, {"add_prefix_space", false}});
  EXPECT_EQ(Encode("a<s>a"), (Ids{3, 1, 3}));
}

TEST_F(TokenizerClass, DefaultTokensHoldTheirRoles) {
  Write("tokenizer.json", PiecesFile());
  const auto roles = [&] { return Tokenizer::Open(dir_.path())->special_tokens(); };
  EXPECT_EQ(roles(), Json::object());
  EXPECT_EQ(Tokenizer::Open(dir_.path())->eos(), std::nullopt);
  Write("tokenizer_config.json", {{"tokenizer_class", "LlamaTokenizer"}});
  EXPECT_EQ(Tokenizer::Open(dir_.path())->bos(), 1);
  EXPECT_EQ(Tokenizer::Open(dir_.path())->eos(), 2);
  EXPECT_EQ(roles(), (Json{{"bos_token", "<s>"}, {"eos_token", "</s>"}, {"unk_token", "<unk>"}}));
  // What a file says counts, null too.
  Write("tokenizer_config.json", {{"tokenizer_class", "LlamaTokenizer"}, {"bos_token", nullptr}, {"eos_token", "a"}});
  EXPECT_EQ(Tokenizer::Open(dir_.path())->bos(), std::nullopt);
  EXPECT_EQ(Tokenizer::Open(dir_.path())->eos(), 3);
  EXPECT_EQ(roles(), (Json{{"eos_token", "a"}, {"unk_token", "<unk>"}}));
}

TEST_F(TokenizerClass, CodeLlamaAlwaysBeginsAText) {
  Write("tokenizer.json", PiecesFile());
  Write("tokenizer_config.json", {{"tokenizer_class", "CodeLlamaTokenizerFast"}, {"add_bos_token", false}});
  EXPECT_EQ(Encode("a<s>a?"), (Ids{1, 5, 1, 3, 0}));
  EXPECT_EQ(Encode("<FILL_ME>a"), (Ids{1, 10, 3}));  // the fifth of its own tokens
  Write("tokenizer_config.json", {{"tokenizer_class", "CodeLlamaTokenizer"}, {"image_token", "<pad>"}});
  EXPECT_EQ(Encode("<pad>"), (Ids{1, 11}));  // behind them
  Write("tokenizer_config.json", {{"tokenizer_class", "CodeLlamaTokenizerFast"}, {"add_bos_token", false}});
  EXPECT_EQ(Tokenizer::Open(dir_.path())->Decode(Ids{5}, false), "a");
  Write("tokenizer_config.json", {{"tokenizer_class", "CodeLlamaTokenizer"}, {"bos_token", nullptr}});
  EXPECT_EQ(Encode("a"), (Ids{5}));
  Write("tokenizer_config.json", {{"tokenizer_class", "Phi3Tokenizer"}});  // another name of LlamaTokenizer
  EXPECT_EQ(Encode("a?"), (Ids{5}));
}

TEST_F(TokenizerClass, GemmaPutsNoSpaceBeforeAText) {
  Write("tokenizer.json", PiecesFile());
  Write("tokenizer_config.json", {{"tokenizer_class", "GemmaTokenizerFast"}, {"add_prefix_space", true}});
  EXPECT_EQ(Encode("a a?"), (Ids{3, 5, 0}));
  EXPECT_EQ(Tokenizer::Open(dir_.path())->Decode(Ids{5}, false), " a");
  EXPECT_EQ(Tokenizer::Open(dir_.path())->bos(), 6);  // "<bos>", which is new
  Write("tokenizer_config.json", Json::object());
  Write("config.json", {{"model_type", "gemma3_text"}});  // brings it where none is named
  EXPECT_EQ(Encode("a a?"), (Ids{3, 5, 0}));
}

TEST_F(TokenizerClass, GptNeoXAndCohereBringFormC) {
  Json file = ByteLevelFile();
  file["model"]["vocab"]["\u00c3"] = 14;  // the two bytes of e with an acute accent
  file["model"]["vocab"]["\u00a9"] = 15;
  Write("tokenizer.json", file);
  Write("tokenizer_config.json", {{"tokenizer_class", "GPTNeoXTokenizer"}});
  EXPECT_EQ(Encode("A12e\u0301"), (Ids{3, 6, 14, 15}));  // and no post-processor
  EXPECT_EQ(Tokenizer::Open(dir_.path())->special_tokens()["pad_token"], "<|padding|>");
  Write("tokenizer_config.json", {{"tokenizer_class", "CohereTokenizer"}});
  EXPECT_EQ(Encode("A12e\u0301"), (Ids{0, 3, 4, 5, 14, 15}));  // the file's post-processor, digits one by one
}

TEST_F(TokenizerClass, AVocabularyOfAnotherKindIsTakenAsItStands) {
  Write("tokenizer.json", PiecesFile());
  Write("config.json", {{"model_type", "qwen2"}});
  EXPECT_EQ(Encode("a<s>a?"), (Ids{5, 1, 5, 0}));
}

TEST_F(TokenizerClass, BeginAndEndOfATokenizerJsonAreItsOwn) {
  Write("tokenizer.json", ByteLevelFile());
  Write("tokenizer_config.json", {{"add_bos_token", false}, {"add_eos_token", true}, {"eos_token", "<s>"}});
  EXPECT_EQ(Encode("a"), (Ids{0, 1}));
}

TEST_F(TokenizerClass, TokensWithARoleGetIdsInTheOrderOfRoles) {
  Write("tokenizer.json", ByteLevelFile());
  Write("tokenizer_config.json", {{"image_token", "<x>"},
                                  {"pad_token", "<p>"},
                                  {"eos_token", {{"content", "<q>"}, {"__type", "AddedToken"}, {"lstrip", true}}},
                                  {"additional_special_tokens", {"<a>", "<p>"}}});
  EXPECT_EQ(Encode("<p>b <q><x><a>"), (Ids{0, 15, 2, 14, 16, 17}));
  auto tokenizer = Tokenizer::Open(dir_.path());
  EXPECT_EQ(tokenizer->eos(), 14);
  EXPECT_EQ(tokenizer->vocab_size(), 18);
  EXPECT_EQ(tokenizer->Decode(Ids{15, 1, 17}, true), "a");
}

TEST_F(TokenizerClass, AddedTokensOfAllFiles) {
  Write("tokenizer.json", ByteLevelFile());
  Write("added_tokens.json", {{"<p>", 15}, {"<q>", 14}});
  Write("special_tokens_map.json", {{"eos_token", "<q>"}, {"additional_special_tokens", {"<x>"}}});
  Write("tokenizer_config.json", {{"eos_token", "<a>"}});
  EXPECT_EQ(Encode("<p><q><x>"), (Ids{0, 15, 14, 16}));
  EXPECT_EQ(Tokenizer::Open(dir_.path())->eos(), 14);                         // the map counts
  EXPECT_EQ(Tokenizer::Open(dir_.path())->Decode(Ids{15, 14}, true), "<p>");  // special are those with a role
  // With a decoder neither file is asked.
  Write("tokenizer_config.json",
        {{"eos_token", "<a>"}, {"added_tokens_decoder", {{"14", {{"content", "<x>"}, {"rstrip", true}}}}}});
  EXPECT_EQ(Encode("<x> <a><p>"), (Ids{0, 14, 15, 7, 9, 8}));
  EXPECT_EQ(Tokenizer::Open(dir_.path())->eos(), 15);
}

TEST_F(TokenizerClass, SpecialTokensOfATextMayBeText) {
  Write("tokenizer.json", ByteLevelFile());
  Write("tokenizer_config.json", {{"split_special_tokens", true}, {"pad_token", "<p>"}});
  EXPECT_EQ(Encode("<p>"), (Ids{0, 7, 9, 8}));
}

TEST_F(TokenizerClass, NumbersOfPythonInAConfigAreNoMistake) {
  Write("tokenizer.json", ByteLevelFile());
  WriteFileAtomically(dir_ / "config.json", R"({"model_type": "llama", "initializer_range": NaN})");
  EXPECT_NO_THROW(Tokenizer::Open(dir_.path()));
}

TEST_F(TokenizerClass, TheFileThatIsWrongIsNamed) {
  Write("tokenizer.json", ByteLevelFile());
  Write("added_tokens.json", {{"<p>", "x"}});
  EXPECT_ERROR(Tokenizer::Open(dir_.path()), "added_tokens.json: <p>: expected an integer");
  Write("added_tokens.json", Json::object());
  Write("special_tokens_map.json", {{"eos_token", 3}});
  EXPECT_ERROR(Tokenizer::Open(dir_.path()), "special_tokens_map.json: eos_token: expected a string");
  Write("tokenizer_config.json", {{"added_tokens_decoder", {{"x", {{"content", "<p>"}}}}}});
  EXPECT_ERROR(Tokenizer::Open(dir_.path()),
               "tokenizer_config.json: added_tokens_decoder: key \"x\" is not a token id");
  Write("tokenizer_config.json", {{"added_tokens_decoder", {{"14", {{"content", "<p>"}, {"trim", true}}}}}});
  EXPECT_ERROR(Tokenizer::Open(dir_.path()), "added_tokens_decoder.14: key \"trim\" is unknown");
  Write("special_tokens_map.json", Json::object());
  Json holes = ByteLevelFile();
  holes["model"]["vocab"]["z"] = 15;
  Write("tokenizer.json", holes);
  Write("tokenizer_config.json", {{"pad_token", "<p>"}});
  EXPECT_ERROR(Tokenizer::Open(dir_.path()), "tokenizer_config.json: adds \"<p>\", which would get id 15; but that is");
}

}  // namespace
}  // namespace ecld
