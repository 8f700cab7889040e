#include "checkpoint/tokenizer/cut_tokenizer.h"

#include <gtest/gtest.h>

#include "checkpoint/tokenizer/tokenizer.h"
#include "core/files.h"
#include "core/json.h"
#include "tests/testing/cut_tiny.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

class CutTokenizerTest : public testing::Test {
 protected:
  CutTokenizerTest() { WriteTinyCheckpoint(dir_ / "model"); }

  void Change(const char* file, const std::function<void(Json&)>& change) const {
    const fs::path path = dir_ / "model" / file;
    Json json = fs::exists(path) ? ReadJsonFile(path) : Json::object();
    change(json);
    WriteJsonFile(path, json);
  }
  Json Cut(const char* file) const { return ReadJsonFile(dir_ / "cut" / file); }

  // Without " an" and the " and" that is made of it.
  std::vector<int32_t> CutAnd() const { return CutTinyTokenizer(dir_ / "model", dir_ / "cut", {279, 280}); }

  TempDir dir_;
};

TEST(TokenIds, AreMappedWhereverAFieldHoldsThem) {
  const NewIds ids = NewIdsOf({0, 2, 4, 5}, 6);
  Json json = {{"eos_token_id", {2, 4}},         {"pad_token_id", 5},
               {"bos_token_id", nullptr},        {"decoder_start_token_id", -1},
               {"image_token_ids", 9},           {"max_new_tokens", 3},
               {"num_assistant_tokens", 1},      {"bad_words_ids", {{2, 5}, {4}}},
               {"inner", {{"eos_token_id", 4}}}, {"sequence_bias", Json::object()}};
  EXPECT_TRUE(MapTokenIds(ids, "x.json", &json));
  EXPECT_EQ(json, (Json{{"eos_token_id", {1, 2}},
                        {"pad_token_id", 3},
                        {"bos_token_id", nullptr},
                        {"decoder_start_token_id", -1},
                        {"image_token_ids", 9},
                        {"max_new_tokens", 3},
                        {"num_assistant_tokens", 1},
                        {"bad_words_ids", {{1, 3}, {2}}},
                        {"inner", {{"eos_token_id", 2}}},
                        {"sequence_bias", Json::object()}}));
  Json none = {{"max_length", 5}};
  EXPECT_FALSE(MapTokenIds(ids, "x.json", &none));
}

TEST(TokenIds, WhatCannotBeMappedIsRefused) {
  const NewIds ids = NewIdsOf({0, 2}, 3);
  const auto map = [&](Json json) { return MapTokenIds(ids, "x.json", &json); };
  EXPECT_ERROR(map({{"suppress_tokens", {0, 1}}}), "x.json: suppress_tokens[1]: names token 1, which is cut");
  EXPECT_ERROR(map({{"sequence_bias", {{{0}, 1.5}}}}), "x.json: sequence_bias: holds token ids in a form");
  EXPECT_ERROR(map({{"image_token_index", 2}}), "image_token_index: holds token ids in a form");
  EXPECT_ERROR(map({{"eos_token_id", "2"}}), "eos_token_id: expected a token id or a list of them, found \"2\"");
}

TEST_F(CutTokenizerTest, TextsComeBackAndKeptTokensKeepTheirText) {
  const std::vector<int32_t> kept = CutAnd();
  const auto before = Tokenizer::Open(dir_ / "model"), after = Tokenizer::Open(dir_ / "cut");
  EXPECT_EQ(after->vocab_size(), kTinyTokens - 2);
  for (size_t id = 0; id < kept.size(); ++id)
    EXPECT_EQ(after->Bytes(static_cast<int32_t>(id), false), before->Bytes(kept[id], false));
  std::string text = "the man and the others <|im_start|>of\n an offer\xff\xfe";
  for (int byte = 0; byte < 256; ++byte) text += static_cast<char>(byte);
  const std::vector<int32_t> ids = after->Encode(text, false);
  EXPECT_EQ(after->Decode(ids, false), text);
  EXPECT_GT(ids.size(), before->Encode(text, false).size());
  EXPECT_EQ(before->IdOf(" and"), 280);
  EXPECT_FALSE(after->IdOf(" and"));
}

TEST_F(CutTokenizerTest, EveryFileWithAnIdIsRewritten) {
  Change("tokenizer.json", [](Json& json) {
    json["added_tokens"].push_back(json["added_tokens"][0]);
    json["added_tokens"][3].update({{"id", 283}, {"content", "<late>"}});
    json["padding"] = {{"strategy", "BatchLongest"}, {"pad_id", 283}, {"pad_token", "<late>"}};
    json["post_processor"] = {
        {"type", "Sequence"},
        {"processors",
         {{{"type", "TemplateProcessing"},
           {"single",
            {{{"SpecialToken", {{"id", "<late>"}, {"type_id", 0}}}}, {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}}},
           {"pair", Json::array()},
           {"special_tokens", {{"<late>", {{"id", "<late>"}, {"ids", {283}}, {"tokens", {"<late>"}}}}}}}}}};
  });
  Change("tokenizer_config.json", [](Json& json) {
    json["added_tokens_decoder"] = {{"1", {{"content", "<|im_start|>"}, {"special", true}}},
                                    {"283", {{"content", "<late>"}, {"special", true}}}};
  });
  Change("generation_config.json", [](Json& json) { json = {{"eos_token_id", {2, 283}}, {"temperature", 0.5}}; });
  Change("preprocessor_config.json", [](Json& json) { json["image_token_id"] = 283; });
  Change("added_tokens.json", [](Json& json) { json["<late>"] = 283; });
  Change("vocab.json", [](Json& json) { json["a"] = 1; });
  for (const char* name : {"merges.txt", "tokenizer.model"}) WriteFileAtomically(dir_ / "model" / name, "x");
  CutAnd();
  EXPECT_EQ(Cut("generation_config.json"), (Json{{"eos_token_id", {2, 281}}, {"temperature", 0.5}}));
  EXPECT_EQ(Cut("preprocessor_config.json")["image_token_id"], 281);
  EXPECT_EQ(Cut("added_tokens.json"), (Json{{"<late>", 281}}));
  EXPECT_EQ(Cut("tokenizer_config.json")["added_tokens_decoder"]["281"]["content"], "<late>");
  EXPECT_EQ(Cut("tokenizer.json")["padding"]["pad_id"], 281);
  EXPECT_EQ(Cut("tokenizer.json")["added_tokens"][3]["id"], 281);
  for (const char* name : {"vocab.json", "merges.txt", "tokenizer.model"})
    EXPECT_FALSE(fs::exists(dir_ / "cut" / name));
  EXPECT_EQ(Tokenizer::Open(dir_ / "cut")->Encode("a", true).front(), 281);
}

TEST_F(CutTokenizerTest, SaysWhichFilesItChanged) {
  for (const char* name : {"merges.txt", "tokenizer.model"}) WriteFileAtomically(dir_ / "model" / name, "x");
  Change("generation_config.json", [](Json& json) { json["eos_token_id"] = 2; });
  fs::copy(dir_ / "model", dir_ / "copy");
  std::vector<int32_t> kept(299);
  for (int32_t id = 0; id < 299; ++id) kept[static_cast<size_t>(id)] = id;
  const CutFiles files = CutTokenizer(dir_ / "model", dir_ / "copy", NewIdsOf(kept, 300));
  EXPECT_EQ(files.rewritten, (std::vector<std::string>{"generation_config.json", "tokenizer.json"}));
  EXPECT_EQ(files.removed, (std::vector<std::string>{"merges.txt", "tokenizer.model"}));
}

TEST_F(CutTokenizerTest, MergesOfKeptTokensKeepTheirOrder) {
  CutAnd();
  const Json merges = Cut("tokenizer.json")["model"]["merges"];
  EXPECT_EQ(merges.size(), 22u);
  EXPECT_EQ(merges[0], "\xc4\xa0 t");
}

}  // namespace
}  // namespace ecld
