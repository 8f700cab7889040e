#include "checkpoint/tokenizer/token_map.h"

#include <gtest/gtest.h>

#include <numeric>

#include "core/files.h"
#include "core/json.h"
#include "tests/testing/cut_tiny.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

class TokenMapTest : public testing::Test {
 protected:
  TokenMapTest() { WriteTinyCheckpoint(dir_ / "whole"); }

  VocabularyOf Of(const char* name) const {
    return {dir_ / name, ReadJsonFile(dir_ / name / "config.json")["vocab_size"].get<int64_t>()};
  }
  std::vector<int32_t> Cut(const char* from, const char* to, const std::vector<int32_t>& cut) const {
    return CutTinyTokenizer(dir_ / from, dir_ / to, cut);
  }

  TempDir dir_;
};

TEST_F(TokenMapTest, IsReadAsItWasWritten) {
  EXPECT_FALSE(ReadTokenMap(dir_.path()));
  const TokenMap map{10, {0, 3, 9}};
  WriteTokenMap(dir_.path(), map);
  EXPECT_EQ(ReadTokenMap(dir_.path()), map);
}

TEST_F(TokenMapTest, MalformedOnesAreErrors) {
  const auto read = [&](const char* ids, const char* size = "10") {
    WriteFileAtomically(dir_ / kTokenMapFile,
                        fmt::format(R"({{"schema": "ecld.token_map", "schema_version": "1.0.0", "vocab_size": {},
                                        "old_ids": {}}})",
                                    size, ids));
    return ReadTokenMap(dir_.path());
  };
  EXPECT_ERROR(read("[0, 10]"), "old_ids[1]: expected an id above 0 and below 10, found 10");
  EXPECT_ERROR(read("[3, 3]"), "old_ids[1]: expected an id above 3");
  EXPECT_ERROR(read("[-1]"), "old_ids[0]: expected an id above -1");
  EXPECT_ERROR(read("7"), "old_ids");
  EXPECT_ERROR(read("[]", "0"), "vocab_size: expected 1 to 2^31 - 1, found 0");
}

TEST_F(TokenMapTest, RelatesACutVocabularyToWhatItWasCutFrom) {
  EXPECT_TRUE(IdsIn(Of("whole"), Of("whole")).empty());
  const std::vector<int32_t> kept = Cut("whole", "cut", {270, 282, 290});
  EXPECT_EQ(IdsIn(Of("whole"), Of("cut")), kept);
  EXPECT_TRUE(IdsIn(Of("cut"), Of("cut")).empty());
  std::filesystem::copy(dir_ / "cut", dir_ / "without-map");
  std::filesystem::remove(dir_ / "without-map" / kTokenMapFile);
  EXPECT_TRUE(IdsIn(Of("without-map"), Of("cut")).empty());
  EXPECT_ERROR(IdsIn(Of("cut"), Of("whole")), "has no token for id 270 of");
}

TEST_F(TokenMapTest, ComposesWhereItIsCutTwice) {
  Cut("whole", "once", {270, 282, 299});
  const std::vector<int32_t> kept = Cut("once", "twice", {280, 290});
  EXPECT_EQ(IdsIn(Of("once"), Of("twice")), kept);
  std::vector<int32_t> of_whole;
  for (int32_t id = 0; id < 300; ++id)
    if (id != 270 && id != 282 && id != 299 && id != 281 && id != 292) of_whole.push_back(id);
  EXPECT_EQ(IdsIn(Of("whole"), Of("twice")), of_whole);
  Cut("whole", "other", {275});
  EXPECT_ERROR(IdsIn(Of("other"), Of("twice")), "has no token for id 274 of");
}

TEST_F(TokenMapTest, UnrelatedVocabulariesAreRefusedNamingWhatDiffers) {
  WriteTinyCheckpoint(dir_ / "larger", {.vocab_size = 320});
  EXPECT_ERROR(IdsIn(Of("larger"), Of("whole")), "300 is the first id that only one of them has");
  Json tokenizer = ReadJsonFile(dir_ / "larger" / "tokenizer.json");
  tokenizer["added_tokens"][1]["content"] = "<|start|>";
  tokenizer["model"]["vocab"].erase("<|im_start|>");
  tokenizer["model"]["vocab"]["<|start|>"] = 1;
  WriteJsonFile(dir_ / "larger" / "tokenizer.json", tokenizer);
  EXPECT_ERROR(IdsIn(Of("larger"), Of("whole")), "id 1 is \"<|start|>\" here and \"<|im_start|>\" there");
  // The map fits by its numbers, and the tokens are others.
  WriteTinyCheckpoint(dir_ / "whole-320", {.vocab_size = 320});
  Cut("whole-320", "cut", {300});
  EXPECT_EQ(IdsIn(Of("whole-320"), Of("cut")).size(), 319u);
  EXPECT_ERROR(IdsIn(Of("larger"), Of("cut")), "is not what");
  EXPECT_ERROR(IdsIn(Of("whole"), Of("cut")), "no token_map.json says which of them are the same");
  WriteTokenMap(dir_ / "cut", {320, {1, 2}});
  EXPECT_ERROR(IdsIn(Of("whole-320"), Of("cut")), "has 2 ids, but the model has a vocabulary of 319");
}

TEST_F(TokenMapTest, WindowsAreReadByOtherIds) {
  EXPECT_EQ(WindowsBy({7, 5, 9}, {{0, 1}, {2, 2}}), (std::vector<std::vector<int32_t>>{{7, 5}, {9, 9}}));
  EXPECT_EQ(WindowsBy({}, {{0, 1}}), (std::vector<std::vector<int32_t>>{{0, 1}}));
}

TEST_F(TokenMapTest, EqualSizesAreNotYetEqualTokens) {
  std::filesystem::copy(dir_ / "whole", dir_ / "other");
  EXPECT_NO_THROW(RequireSameTokens(Of("other"), Of("whole")));
  Json tokenizer = ReadJsonFile(dir_ / "other" / "tokenizer.json");
  Json& vocab = tokenizer["model"]["vocab"];
  std::swap(vocab["a"], vocab["b"]);
  WriteJsonFile(dir_ / "other" / "tokenizer.json", tokenizer);
  const auto id = std::min(vocab["a"].get<int64_t>(), vocab["b"].get<int64_t>());
  EXPECT_ERROR(RequireSameTokens(Of("other"), Of("whole")),
               fmt::format("2 of 300 ids differ (id {} is \"b\" here", id));
}

}  // namespace
}  // namespace ecld
