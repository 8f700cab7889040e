// What the files beside a sentencepiece model change, with a real model (tests/tokenizer/real_tokenizers_test.cpp has
// the recorded cases).

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/tokenizer/tokenizer.h"
#include "core/files.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/temp_dir.h"

namespace ecld {
namespace {

using Ids = std::vector<int32_t>;

class SentencePiece : public testing::Test {
 protected:
  void SetUp() override {
    const char* data = std::getenv("ECLD_TEST_DATA");
    if (!data) GTEST_SKIP() << "ECLD_TEST_DATA is not set";
    std::filesystem::create_symlink(std::filesystem::path(data) / "models" / "tok-llama2" / "tokenizer.model",
                                    directory_ / "tokenizer.model");
  }
  std::unique_ptr<Tokenizer> Open(const std::string& config) {
    WriteFileAtomically(directory_ / "tokenizer_config.json", config);
    return Tokenizer::Open(directory_.path());
  }
  TempDir directory_;
};

TEST_F(SentencePiece, BeginAndEndTokens) {
  EXPECT_EQ(Open("{}")->Encode("Hello", true), (Ids{1, 15043}));
  EXPECT_EQ(Open("{}")->Encode("Hello", false), Ids{15043});
  EXPECT_EQ(Open(R"({"add_bos_token": false, "add_eos_token": true})")->Encode("Hello", true), (Ids{15043, 2}));
  EXPECT_EQ(Open("{}")->eos(), 2);
  EXPECT_EQ(Open(R"({"eos_token": "<end>"})")->eos(), 32000);  // a new token, after the last one
}

TEST_F(SentencePiece, ControlTokensInTheText) {
  auto legacy = Open("{}");
  EXPECT_EQ(legacy->Encode("<s>Hello</s>Hello", false), (Ids{1, 15043, 2, 15043}));
  EXPECT_EQ(legacy->Decode(Ids{1, 15043, 2, 15043}, false), "<s>Hello</s>Hello");
  EXPECT_EQ(legacy->Decode(Ids{1, 15043, 2, 15043}, true), "HelloHello");
  // Without "legacy" no space is put before text that follows a special token.
  auto modern = Open(R"({"legacy": false})");
  EXPECT_EQ(modern->Encode("<s>Hello</s> Hello", false), (Ids{1, 10994, 2, 15043}));
  EXPECT_EQ(modern->Decode(Ids{1, 10994, 2, 15043}, false), "<s>Hello</s> Hello");
  EXPECT_EQ(modern->Encode("Hello", false), Ids{15043});
}

TEST_F(SentencePiece, TokensThatTheConfigAdds) {
  auto tokenizer = Open(R"({"added_tokens_decoder": {"32000": {"content": "<pad>", "special": true},
                                                     "1": {"content": "<s>", "special": true}}})");
  EXPECT_EQ(tokenizer->vocab_size(), 32001);
  EXPECT_EQ(tokenizer->Encode("<pad>Hello", false), (Ids{32000, 15043}));
  EXPECT_EQ(tokenizer->IdOf("<pad>"), 32000);
  EXPECT_ERROR(Open(R"({"added_tokens_decoder": {"5": {"content": "<pad>"}}})"), "gives id 5 to \"<pad>\"");
  EXPECT_ERROR(Open(R"({"added_tokens_decoder": {"x": {"content": "<pad>"}}})"), "key \"x\" is not a token id");
}

TEST_F(SentencePiece, RefusesIdsOutsideTheVocabulary) {
  EXPECT_ERROR(Open("{}")->Decode(Ids{32000}, false), "token id 32000 is not in the vocabulary (of 32000 ids)");
}

TEST(SentencePieceFile, RefusesWhatIsNoModel) {
  TempDir directory;
  WriteFileAtomically(directory / "tokenizer.model", "IQ== 0\nIg== 1\n");
  EXPECT_ERROR(Tokenizer::Open(directory.path()), "tokenizer.model: not a sentencepiece model");
}

}  // namespace
}  // namespace ecld
