#include "checkpoint/tokenizer/text_stream.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "checkpoint/tokenizer/json_tokenizer.h"
#include "core/json.h"
#include "core/random.h"
#include "core/unicode.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

constexpr const char* kText =
    "na\xc3\xafve \xe2\x82\xac 5, \xf0\x9f\x98\x80 and \xe6\x97\xa5\xe6\x9c\xac, the end of it";

// The parts as they come out, the last one of Finish.
std::vector<std::string> Parts(const Tokenizer& tokenizer, const std::vector<int32_t>& ids,
                               TextStream::Start start = TextStream::Start::kText) {
  TextStream stream(tokenizer, start);
  std::vector<std::string> parts;
  for (int32_t id : ids) parts.push_back(stream.Add(id));
  parts.push_back(stream.Finish());
  return parts;
}

std::string Joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += part;
  return text;
}

// Tokens of one byte each: ids 3 + byte.
class TextStreamOfBytes : public testing::Test {
 protected:
  TextStreamOfBytes() {
    WriteTinyTokenizer(dir_.path());
    tokenizer_ = Tokenizer::Open(dir_.path());
  }
  std::string Stream(std::string_view bytes) const {
    std::vector<int32_t> ids;
    for (char c : bytes) ids.push_back(3 + static_cast<uint8_t>(c));
    return Joined(Parts(*tokenizer_, ids));
  }

  TempDir dir_;
  std::unique_ptr<Tokenizer> tokenizer_;
};

TEST_F(TextStreamOfBytes, OnlyWholeCharactersComeOut) {
  EXPECT_EQ(Stream(kText), kText);
  const auto ids = tokenizer_->Encode(kText, false);
  for (const std::string& part : Parts(*tokenizer_, ids)) EXPECT_EQ(ValidRun(part, 0), part.size());
}

TEST_F(TextStreamOfBytes, WhatIsNoCharacterIsReplacedByMaximalParts) {
  const std::string r = "\xef\xbf\xbd";
  EXPECT_EQ(Stream("a\x80z"), "a" + r + "z");
  EXPECT_EQ(Stream("\xe2\x82z"), r + "z");       // an unfinished character is one
  EXPECT_EQ(Stream("\xe2\x82"), r);              // also at the end
  EXPECT_EQ(Stream("\xc0\xaf"), r + r);          // an overlong form is none
  EXPECT_EQ(Stream("\xed\xa0\x80"), r + r + r);  // a surrogate
  EXPECT_EQ(Stream("\xf4\x90\x80\x80"), r + r + r + r);
  // The example of the standard, section 3.9, table 3-11.
  EXPECT_EQ(Stream("\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41"), r + r + r + r + "A");
}

TEST_F(TextStreamOfBytes, AnyIdsGiveUtf8) {
  Random random(1);
  for (int round = 0; round < 200; ++round) {
    std::vector<int32_t> ids;
    for (int i = 0; i < 40; ++i) ids.push_back(static_cast<int32_t>(random.Below(300)));  // 283 .. 299 are no tokens
    const std::string text = Joined(Parts(*tokenizer_, ids));
    EXPECT_EQ(ValidRun(text, 0), text.size());
  }
}

TEST_F(TextStreamOfBytes, SpecialAndUnknownIdsAddNothing) {
  EXPECT_EQ(Joined(Parts(*tokenizer_, {0, 3 + 'a', 299, -1, 1, 3 + 'b', 2})), "ab");
}

// As sentencepiece models look when converted; the decoder cuts one space from the start of a text.
TEST(TextStream, TheStartOfATextIsNotTheStartOfAContinuation) {
  auto tokenizer = ReadJsonTokenizer(R"({
    "added_tokens": [{"id": 0, "content": "<unk>", "special": true, "normalized": false}],
    "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "_"},
                   {"type": "Replace", "pattern": {"String": " "}, "content": "_"}]},
    "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "_"}, "content": " "},
                {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
    "model": {"type": "BPE", "unk_token": "<unk>", "byte_fallback": true, "fuse_unk": true,
              "vocab": {"<unk>": 0, "a": 1, "_": 2, "_a": 3, "<0xC3>": 4, "<0xA9>": 5}, "merges": [["_", "a"]]}
  })",
                                     "tokenizer.json", {});
  for (const std::vector<int32_t>& ids :
       std::vector<std::vector<int32_t>>{{3, 3}, {2, 3, 1}, {2, 2, 2, 3}, {4, 5, 3}}) {
    const std::string text = Joined(Parts(*tokenizer, ids));
    EXPECT_EQ(text, tokenizer->Decode(ids, true));
    const std::string continued = Joined(Parts(*tokenizer, ids, TextStream::Start::kContinuation));
    EXPECT_EQ(continued, ids[0] == 4 ? text : " " + text);
  }
}

TEST(TextStream, EqualsDecodeOnRealTokenizers) {
  const char* data = std::getenv("ECLD_TEST_DATA");
  if (!data) GTEST_SKIP() << "ECLD_TEST_DATA is not set";
  for (const char* name : {"tok-llama2", "stories260K-hf", "tinystories-656k-hf"}) {
    const auto directory = std::filesystem::path(data) / "models" / name;
    ASSERT_TRUE(std::filesystem::exists(directory)) << directory;
    auto tokenizer = Tokenizer::Open(directory);
    const auto ids = tokenizer->Encode(kText, false);
    EXPECT_EQ(Joined(Parts(*tokenizer, ids)), tokenizer->Decode(ids, true)) << name;
  }
}

}  // namespace
}  // namespace ecld
