// What the files beside a sentencepiece model change, with a real model
// (tests/checkpoint/tokenizer/real_tokenizers_test.cpp has the recorded cases) and with one of seven pieces made here.

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
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

// A model as the protocol buffer that it is: seven pieces (text, score, type), BPE, a space before the text.
std::string SevenPieces() {
  auto varint = [](uint64_t value) {
    std::string bytes;
    for (; value >= 128; value >>= 7) bytes += static_cast<char>(value | 128);
    return bytes + static_cast<char>(value);
  };
  auto message = [&](int field, const std::string& content) {
    return varint(static_cast<uint64_t>(field) << 3 | 2) + varint(content.size()) + content;
  };
  auto number = [&](int field, uint64_t value) { return varint(static_cast<uint64_t>(field) << 3) + varint(value); };
  auto piece = [&](const std::string& text, float score, uint64_t type) {
    std::string bits(4, '\0');
    std::memcpy(bits.data(), &score, 4);
    return message(1, message(1, text) + varint(2 << 3 | 5) + bits + number(3, type));
  };
  const std::string mark = "\xe2\x96\x81";
  constexpr uint64_t kNormal = 1, kUnknown = 2, kControl = 3, kBpe = 2;
  return piece("<unk>", 0, kUnknown) + piece("<s>", 0, kControl) + piece("</s>", 0, kControl) +
         piece(mark, -1, kNormal) + piece("a", -1, kNormal) + piece("b", -1, kNormal) + piece(mark + "a", 0, kNormal) +
         message(2, number(3, kBpe)) + message(3, number(3, 1) + number(4, 0));
}

class SmallSentencePiece : public testing::Test {
 protected:
  void SetUp() override { WriteFileAtomically(directory_ / "tokenizer.model", SevenPieces()); }
  void Write(const char* name, const std::string& text) { WriteFileAtomically(directory_ / name, text); }
  Ids Encode(const std::string& text) { return Tokenizer::Open(directory_.path())->Encode(text, true); }
  TempDir directory_;
};

TEST_F(SmallSentencePiece, ChatTokensOfAddedTokensJson) {
  Write("added_tokens.json", R"({"<|im_start|>": 8, "<|im_end|>": 7})");
  EXPECT_EQ(Encode("a<|im_start|>a</s>"), (Ids{1, 6, 8, 6, 2}));
  Write("tokenizer_config.json", R"({"legacy": false, "add_eos_token": true})");
  EXPECT_EQ(Encode("a<|im_start|>a"), (Ids{1, 6, 8, 4, 2}));
  EXPECT_EQ(Encode("<|im_start|>a"), (Ids{1, 3, 8, 4, 2}));  // the space stands before a token without a role
  EXPECT_EQ(Encode("<s>a"), (Ids{1, 1, 4, 2}));
  Write("tokenizer_config.json", R"({"legacy": false, "add_prefix_space": false})");
  EXPECT_EQ(Encode("a<|im_start|>a"), (Ids{1, 4, 8, 4}));
}

TEST_F(SmallSentencePiece, ATokenThatLostItsRoleIsText) {
  Write("added_tokens.json", R"({"<|im_start|>": 8, "<|im_end|>": 7})");
  Write("tokenizer_config.json", R"({"eos_token": "<|im_end|>", "add_eos_token": true})");
  EXPECT_EQ(Encode("a<|im_end|></s>"), (Ids{1, 6, 7, 3, 0, 7}));
  auto tokenizer = Tokenizer::Open(directory_.path());
  EXPECT_EQ(tokenizer->eos(), 7);
  EXPECT_EQ(tokenizer->Decode(Ids{6, 7, 8}, true), "a<|im_start|>");  // special is what has a role
}

TEST_F(SmallSentencePiece, NewTokensStandAfterTheLast) {
  Write("special_tokens_map.json", R"({"pad_token": "[PAD]", "additional_special_tokens": ["<x>"]})");
  EXPECT_EQ(Encode("[PAD]<x>"), (Ids{1, 7, 8}));
  // A decoder tells all: the map is not asked.
  Write("tokenizer_config.json", R"({"added_tokens_decoder": {"7": {"content": "<y>", "special": true}}})");
  EXPECT_EQ(Encode("<y>[PAD]"), (Ids{1, 7, 3, 0}));
  Write("tokenizer_config.json", R"({"split_special_tokens": true})");
  EXPECT_EQ(Encode("<x>"), (Ids{1, 3, 0}));
}

TEST_F(SmallSentencePiece, TheFileThatContradictsIsNamed) {
  Write("added_tokens.json", R"({"<x>": 4})");
  EXPECT_ERROR(Encode(""), "added_tokens.json: gives id 4 to \"<x>\", but tokenizer.model gives it to \"a\"");
  Write("added_tokens.json", R"({"</s>": 7})");
  EXPECT_ERROR(Encode(""), "added_tokens.json: gives id 7 to \"</s>\", but \"</s>\" has id 2");
}

TEST(SentencePieceFile, RefusesWhatIsNoModel) {
  TempDir directory;
  WriteFileAtomically(directory / "tokenizer.model", "IQ== 0\nIg== 1\n");
  EXPECT_ERROR(Tokenizer::Open(directory.path()), "tokenizer.model: not a sentencepiece model");
}

}  // namespace
}  // namespace ecld
