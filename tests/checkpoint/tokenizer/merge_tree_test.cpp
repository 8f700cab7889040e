#include "checkpoint/tokenizer/merge_tree.h"

#include <gtest/gtest.h>

#include "checkpoint/tokenizer/tokenizer.h"
#include "core/files.h"
#include "core/json.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kRows = 300;

class MergeTreeTest : public testing::Test {
 protected:
  MergeTreeTest() { WriteTinyCheckpoint(dir_ / "model"); }

  fs::path Model() const { return dir_ / "model"; }
  int32_t IdOf(std::string_view token) const { return *Tokenizer::Open(Model())->IdOf(token); }

  void Change(const char* file, const std::function<void(Json&)>& change) const {
    Json json = fs::exists(Model() / file) ? ReadJsonFile(Model() / file) : Json::object();
    change(json);
    WriteJsonFile(Model() / file, json);
  }

  TempDir dir_;
};

TEST_F(MergeTreeTest, KnowsWhatEachTokenIsMergedFrom) {
  const MergeTree tree = ReadMergeTree(Model(), kRows);
  ASSERT_EQ(tree.tokens.size(), 300u);
  EXPECT_EQ(tree.merges, 24);
  const MergeTree::Token& the = tree.tokens[static_cast<size_t>(IdOf(" the"))];
  EXPECT_EQ(the.left, IdOf(" t"));
  EXPECT_EQ(the.right, IdOf("he"));
  EXPECT_EQ(the.rank, 6);
  EXPECT_EQ(the.symbols, 4);
  EXPECT_FALSE(the.fixed);
}

TEST_F(MergeTreeTest, BytesAndAddedTokensAreFixedAndRowsWithoutATokenAreNot) {
  const MergeTree tree = ReadMergeTree(Model(), kRows);
  for (size_t id = 0; id < 300; ++id) {
    EXPECT_EQ(tree.tokens[id].present, id < kTinyTokens) << id;
    EXPECT_EQ(tree.tokens[id].fixed, id < 259) << id;
    // But for the last: " of" has a merge, and " o" comes before it.
    EXPECT_EQ(tree.tokens[id].merged(), id >= 259 && id < kTinyTokens - 1) << id;
  }
}

TEST_F(MergeTreeTest, WhatAFileNamesIsFixedWithItsParts) {
  const int32_t the = IdOf(" the");
  Change("generation_config.json", [&](Json& json) { json["suppress_tokens"] = {the, 5000}; });
  const MergeTree tree = ReadMergeTree(Model(), kRows);
  for (const char* token : {" the", " t", "he"}) EXPECT_TRUE(tree.tokens[static_cast<size_t>(IdOf(token))].fixed);
  EXPECT_FALSE(tree.tokens[static_cast<size_t>(IdOf("in"))].fixed);
}

// As in files converted from tiktoken, which list every pair that gives a token.
TEST_F(MergeTreeTest, OfSeveralMergesIntoATokenTheOneThatHappensCounts) {
  Change("tokenizer.json", [](Json& json) {
    json["model"]["vocab"]["ther"] = 283;
    json["model"]["merges"].push_back("the r");  // never: h e has the lowest rank, and "the" is no token
    json["model"]["vocab"]["the"] = 284;
    json["model"]["vocab"]["her"] = 285;
    json["model"]["merges"].push_back("he r");
    json["model"]["merges"].push_back("t her");
    json["model"]["merges"].push_back("t he");
  });
  const MergeTree tree = ReadMergeTree(Model(), kRows);
  EXPECT_EQ(tree.tokens[283].left, IdOf("t"));
  EXPECT_EQ(tree.tokens[283].right, 285);
}

// As sentencepiece models are converted; some files promise tokens of bytes and have none.
TEST_F(MergeTreeTest, ACharacterCanGoWhereItsBytesAreTokens) {
  const std::string e_acute = "\xc3\xa9";
  Change("tokenizer.json", [&](Json& json) {
    json["pre_tokenizer"] = nullptr;
    json["decoder"] = {{"type", "ByteFallback"}};
    json["model"]["byte_fallback"] = true;
    json["model"]["vocab"]["<0xC3>"] = 283;
  });
  EXPECT_TRUE(ReadMergeTree(Model(), kRows).tokens[static_cast<size_t>(IdOf(e_acute))].fixed);
  Change("tokenizer.json", [](Json& json) { json["model"]["vocab"]["<0xA9>"] = 284; });
  const MergeTree tree = ReadMergeTree(Model(), kRows);
  EXPECT_FALSE(tree.tokens[static_cast<size_t>(IdOf(e_acute))].fixed);
  EXPECT_TRUE(tree.tokens[static_cast<size_t>(IdOf("a"))].fixed);
  EXPECT_TRUE(tree.tokens[283].fixed);
}

TEST_F(MergeTreeTest, WhatCannotBeCutIsRefusedByName) {
  EXPECT_ERROR(ReadMergeTree(Model(), 280), "but the model has a vocabulary of only 280");
  Change("tokenizer_config.json", [](Json& json) { json["auto_map"]["AutoTokenizer"] = "own.Tokenizer"; });
  EXPECT_ERROR(ReadMergeTree(Model(), kRows), "auto_map names a tokenizer of the repository's own");
  Change("tokenizer_config.json", [](Json& json) { json.erase("auto_map"); });
  for (const char* type : {"Unigram", "WordPiece"}) {
    Change("tokenizer.json", [&](Json& json) { json["model"]["type"] = type; });
    EXPECT_ERROR(ReadMergeTree(Model(), kRows), "its model is " + std::string(type));
  }
  fs::remove(Model() / "tokenizer.json");
  EXPECT_ERROR(ReadMergeTree(Model(), kRows), "holds no tokenizer.json");
  WriteFileAtomically(Model() / "tokenizer.model", "x");
  EXPECT_ERROR(ReadMergeTree(Model(), kRows), "has a tokenizer.model (sentencepiece) alone");
}

}  // namespace
}  // namespace ecld
