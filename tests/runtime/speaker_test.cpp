#include "runtime/speaker.h"

#include <gtest/gtest.h>

#include "tests/testing/expect_error.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

class SpeakerTest : public testing::Test {
 protected:
  SpeakerTest() { WriteTinyCheckpoint(temp_ / "model", {.vocab_size = kTinyTokens, .max_position = 64}); }

  SpeakerOptions Plain() const {
    return {.model = temp_ / "model", .plain = true, .chat_template = {}, .kernel = {}, .runtime = {}, .gpu = {}};
  }
  static Json Text(const std::string& text) { return Json::array({{{"role", "user"}, {"content", text}}}); }
  static Speaker::Said Answer(Speaker& speaker, const std::string& text, int64_t max_tokens = 4) {
    return speaker.Answer(Text(text), max_tokens, [](const std::string&) {});
  }

  TempDir temp_;
};

TEST_F(SpeakerTest, WhatItRemembersChangesNothing) {
  Speaker speaker(Plain(), nullptr), fresh(Plain(), nullptr);
  EXPECT_FALSE(speaker.chats());
  Answer(speaker, "some text");
  const Speaker::Said again = Answer(speaker, "some text and more"), first = Answer(fresh, "some text and more");
  EXPECT_EQ(again.generation.tokens, first.generation.tokens);
  EXPECT_EQ(again.prompt_tok, first.prompt_tok);
  EXPECT_EQ(again.generation.tokens.size(), 4u);
}

TEST_F(SpeakerTest, PartsAreTheText) {
  Speaker speaker(Plain(), nullptr);
  std::string parts;
  const Speaker::Said said = speaker.Answer(Text("some text"), 6, [&](const std::string& part) { parts += part; });
  EXPECT_EQ(said.text, parts);
  const Json json = ToJson(said);
  EXPECT_EQ(json["schema"], "ecld.generation");
  EXPECT_EQ(json["text"], parts);
  EXPECT_EQ(json["end"], "max_tokens");
}

TEST_F(SpeakerTest, APromptBeyondThePositionsIsAnError) {
  Speaker speaker(Plain(), nullptr);
  EXPECT_ERROR(Answer(speaker, std::string(400, 'q')), "tokens, the model has 64 positions");
}

}  // namespace
}  // namespace ecld
