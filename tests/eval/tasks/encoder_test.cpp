#include "eval/tasks/encoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/expect_error.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

using Ids = std::vector<int32_t>;

class EncoderTest : public testing::Test {
 protected:
  EncoderTest() {
    WriteTinyTokenizer(dir_.path());
    tokenizer_ = Tokenizer::Open(dir_.path());
    prefix_ = tokenizer_->bos() ? *tokenizer_->bos() : *tokenizer_->eos();
  }
  Ids Encode(const std::string& text) const { return tokenizer_->Encode(text, true); }

  TempDir dir_;
  std::unique_ptr<Tokenizer> tokenizer_;
  int32_t prefix_ = 0;
};

TEST_F(EncoderTest, WhatFollowsTheContextIsScored) {
  const PromptEncoder encoder(*tokenizer_, 512);
  const EncodedText text = encoder.Pair("Question: why?\nAnswer:", " because");
  EXPECT_EQ(text.tokens, Encode("Question: why?\nAnswer: because"));
  EXPECT_EQ(text.first_scored, static_cast<int64_t>(Encode("Question: why?\nAnswer:").size()));
  EXPECT_FALSE(text.truncated);
}

TEST_F(EncoderTest, WhiteSpaceGoesToTheContinuation) {
  const PromptEncoder encoder(*tokenizer_, 512);
  const EncodedText text = encoder.Pair("why? \xc2\xa0\n", "so");  // a no-break space among it
  EXPECT_EQ(text.tokens, Encode("why? \xc2\xa0\nso"));
  EXPECT_EQ(text.first_scored, static_cast<int64_t>(Encode("why?").size()));
}

TEST_F(EncoderTest, WithoutContextThePrefixTokenStandsForIt) {
  const PromptEncoder encoder(*tokenizer_, 512);
  Ids expected = tokenizer_->Encode("word", false);
  expected.insert(expected.begin(), prefix_);
  const EncodedText text = encoder.Pair("", "word");
  EXPECT_EQ(text.tokens, expected);
  EXPECT_EQ(text.first_scored, 1);
  // A continuation that begins with it keeps one.
  EXPECT_EQ(encoder.Pair("", tokenizer_->Decode({{prefix_}}, false) + "word").tokens, expected);
}

TEST_F(EncoderTest, LongContextsLoseTheirBeginning) {
  const PromptEncoder encoder(*tokenizer_, 20);
  const std::string context(100, 'q');
  const EncodedText text = encoder.Pair(context, " abc");
  const Ids whole = Encode(context + " abc");
  EXPECT_EQ(text.tokens, Ids(whole.end() - 21, whole.end()));
  EXPECT_EQ(static_cast<int64_t>(text.tokens.size()) - text.first_scored,
            static_cast<int64_t>(whole.size() - Encode(context).size()));
  EXPECT_TRUE(text.truncated);
  EXPECT_ERROR(encoder.Pair("q", std::string(30, 'z')), "more than the 20 positions of the model");
  EXPECT_ERROR(encoder.Pair("q", ""), "has no token of its own after its context");
}

TEST_F(EncoderTest, RollingWindowsScoreEveryTokenOnce) {
  const std::string text = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  Ids all = Encode(text);
  all.insert(all.begin(), prefix_);
  for (int64_t positions : {1, 5, 12, 35, 36, 100}) {
    const PromptEncoder encoder(*tokenizer_, positions);
    Ids scored;
    const auto windows = encoder.Rolling(text);
    for (const EncodedText& window : windows) {
      EXPECT_LE(static_cast<int64_t>(window.tokens.size()), positions + 1);
      EXPECT_GE(window.first_scored, 1);
      scored.insert(scored.end(), window.tokens.begin() + window.first_scored, window.tokens.end());
      // The window is a stretch of the text.
      EXPECT_NE(std::search(all.begin(), all.end(), window.tokens.begin(), window.tokens.end()), all.end());
    }
    EXPECT_EQ(scored, Ids(all.begin() + 1, all.end()));
    // The last one has as much context as fits.
    if (windows.size() > 1) {
      EXPECT_EQ(static_cast<int64_t>(windows.back().tokens.size()), positions + 1);
    }
  }
  EXPECT_ERROR(PromptEncoder(*tokenizer_, 5).Rolling(""), "the text has no token");
}

TEST_F(EncoderTest, PromptsLeaveRoomForTheAnswer) {
  const PromptEncoder encoder(*tokenizer_, 20);
  const EncodedText prompt = encoder.Prompt(std::string(100, 'q'), 8);
  EXPECT_EQ(prompt.tokens.size(), 12u);
  EXPECT_TRUE(prompt.truncated);
  EXPECT_EQ(encoder.Prompt("abc", 8).tokens, Encode("abc"));
  EXPECT_ERROR(encoder.Prompt("abc", 20), "an answer of 20 tokens leaves no room in the 20 positions");
}

}  // namespace
}  // namespace ecld
