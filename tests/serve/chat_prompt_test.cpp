#include "serve/chat_prompt.h"

#include <gtest/gtest.h>

#include "tests/testing/expect_error.h"

namespace ecld {
namespace {

constexpr const char* kTemplate =
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}</>{% endfor %}{% if add_generation_prompt %}<assistant>{% "
    "endif %}{% if tools %}T{{ tools | length }}{% endif %}";
constexpr const char* kTrimming = "{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}</>{% endfor %}";

ApiRequest Request(const Json& more, const char* last = "b ") {
  Json body = {{"model", "m"},
               {"messages", {{{"role", "user"}, {"content", "a"}}, {{"role", "assistant"}, {"content", last}}}}};
  body.update(more);
  return ReadChatRequest(body.dump());
}

std::string Prompt(const char* source, const Json& more, const char* last = "b ") {
  return ChatPrompt(ChatTemplate(source, "test"), Request(more, last));
}

const Json kTool = {{"type", "function"}, {"function", {{"name", "f"}}}};

TEST(ChatPrompt, BeginsAnAnswerUnlessAskedOtherwise) {
  EXPECT_EQ(Prompt(kTemplate, Json::object()), "<user>a</><assistant>b </><assistant>");
  EXPECT_EQ(Prompt(kTemplate, {{"add_generation_prompt", false}}), "<user>a</><assistant>b </>");
}

TEST(ChatPrompt, GoesOnWithTheLastMessage) {
  const Json goes_on = {{"continue_final_message", true}};
  EXPECT_EQ(Prompt(kTemplate, goes_on), "<user>a</><assistant>b ");
  EXPECT_EQ(Prompt(kTrimming, goes_on), "<user>a</><assistant>b") << "what the template cuts off stays away";
  EXPECT_ERROR(Prompt("{{ messages | length }}", goes_on), "continue_final_message: the chat template of this model");
}

TEST(ChatPrompt, ToolsReachTheTemplate) {
  EXPECT_EQ(Prompt(kTemplate, {{"tools", {kTool, kTool}}}), "<user>a</><assistant>b </><assistant>T2");
  EXPECT_EQ(Prompt(kTemplate, {{"tools", {kTool}}, {"tool_choice", "none"}}), "<user>a</><assistant>b </><assistant>");
}

TEST(ChatPrompt, KnowsWhenATemplateMakesNothingOfThem) {
  const ApiRequest request = Request({{"tools", {kTool}}});
  for (const char* source : {kTemplate, kTrimming}) {
    const ChatTemplate chat_template(source, "test");
    EXPECT_EQ(TemplateIgnores(chat_template, request, "tools", ChatPrompt(chat_template, request)),
              source == kTrimming);
  }
  const ChatTemplate trimming(kTrimming, "test");
  const ApiRequest none = Request(Json::object());
  EXPECT_FALSE(TemplateIgnores(trimming, none, "tools", ChatPrompt(trimming, none))) << "there is nothing to ignore";
}

TEST(ChatPrompt, WhatTheTemplateRefusesIsSaid) {
  EXPECT_ERROR(Prompt("{{ raise_exception('no such role') }}", Json::object()),
               "messages: the chat template of this model refuses them");
}

}  // namespace
}  // namespace ecld
