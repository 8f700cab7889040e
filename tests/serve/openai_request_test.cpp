// What requests of public clients become.

#include "serve/openai_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/expect_error.h"

namespace ecld {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

ApiRequest ChatOf(const Json& more) {
  Json body = {{"model", "m"}, {"messages", Json::array({{{"role", "user"}, {"content", "hi"}}})}};
  body.update(more);
  return ReadChatRequest(body.dump());
}

ApiRequest CompletionOf(const Json& more, bool ignore_unknown = false) {
  Json body = {{"model", "m"}, {"prompt", "a"}};
  body.update(more);
  return ReadCompletionRequest(body.dump(), ignore_unknown);
}

Json MessagesOf(const Json& messages) { return ChatOf({{"messages", messages}}).messages; }

TEST(OpenAiRequest, SamplingOfOtherServers) {
  const ApiRequest request = CompletionOf({{"temperature", 0.5},
                                           {"top_k", 40},
                                           {"top_p", 0.75},
                                           {"min_p", 0.25},
                                           {"repetition_penalty", 1.5},
                                           {"frequency_penalty", -1},
                                           {"presence_penalty", 2},
                                           {"logit_bias", {{"5", -100}, {"7", 0.5}}},
                                           {"seed", -1}});
  EXPECT_EQ(request.sampling.Text(),
            "temperature 0.5, top_k 40, top_p 0.75, min_p 0.25, repetition_penalty 1.5, frequency_penalty -1, "
            "presence_penalty 2");
  EXPECT_THAT(request.logit_bias, ElementsAre(Pair(5, -100.0f), Pair(7, 0.5f)));
  EXPECT_EQ(CompletionOf({{"top_k", -1}}).sampling.top_k, 0);
  EXPECT_EQ(CompletionOf({{"top_k", 40.0}, {"max_tokens", 5.0}}).max_tokens, 5);
  EXPECT_ERROR(CompletionOf({{"top_k", 1e300}}), "top_k: expected a whole number of at least -1, found 1e+300");
  EXPECT_EQ(CompletionOf({{"top_k", nullptr}, {"temperature", nullptr}}).sampling.Text(), "");
}

TEST(OpenAiRequest, StopsInAllForms) {
  EXPECT_THAT(CompletionOf({{"stop", nullptr}}).stop, IsEmpty());
  EXPECT_THAT(CompletionOf({{"stop", Json::array()}}).stop, IsEmpty());
  EXPECT_THAT(CompletionOf({{"stop", "x"}}).stop, ElementsAre("x"));
  EXPECT_EQ(CompletionOf({{"stop", std::vector<std::string>(1000, "Question:")}}).stop.size(), 1000u);
  const ApiRequest ids = CompletionOf({{"stop_token_ids", {2, 0}}, {"ignore_eos", true}});
  EXPECT_THAT(ids.stop_ids, ElementsAre(2, 0));
  EXPECT_TRUE(ids.ignore_eos);
}

TEST(OpenAiRequest, AnAnswerMayBeSentBack) {
  const Json answer = {{"role", "assistant"},      {"content", "x"},       {"refusal", nullptr},
                       {"annotations", nullptr},   {"audio", nullptr},     {"function_call", nullptr},
                       {"tool_calls", nullptr},    {"parsed", nullptr},    {"name", nullptr},
                       {"reasoning_content", "t"}, {"what_else", nullptr}, {"type", "text"}};
  EXPECT_EQ(MessagesOf(Json::array({answer})),
            Json::parse(R"([{"role": "assistant", "content": "x", "reasoning_content": "t"}])"));
  EXPECT_EQ(MessagesOf({{{"role", "assistant"}, {"content", nullptr}, {"tool_calls", Json::array()}}}),
            Json::parse(R"([{"role": "assistant", "content": ""}])"))
      << "templates ask whether there is a key";
  EXPECT_EQ(MessagesOf({{{"role", "assistant"}, {"content", ""}, {"annotations", Json::array()}, {"refusal", ""}}}),
            Json::parse(R"([{"role": "assistant", "content": ""}])"));
}

TEST(OpenAiRequest, WhatClientsHoldBesideIsAccepted) {
  const Json parts = Json::array({{{"type", "text"}, {"text", "x"}, {"cache_control", {{"type", "ephemeral"}}}}});
  EXPECT_EQ(MessagesOf({{{"role", "user"}, {"content", parts}}})[0]["content"], "x");
  const Json function = {{"name", "f"}, {"arguments", "{}"}, {"parsed_arguments", Json::object()}};
  const Json answer = {{"role", "assistant"},
                       {"content", "{}"},
                       {"parsed", {{"x", 1}}},
                       {"tool_calls", Json::array({{{"id", "1"}, {"type", "function"}, {"function", function}}})}};
  EXPECT_EQ(MessagesOf(Json::array({answer})), Json::parse(R"([{"role": "assistant", "content": "{}", "tool_calls":
    [{"type": "function", "function": {"name": "f", "arguments": {}}, "id": "1"}]}])"));
  EXPECT_FALSE(ChatOf({{"echo", false}}).echo);
  EXPECT_ERROR(ChatOf({{"echo", true}}), "echo is not supported");
  EXPECT_FALSE(CompletionOf({{"logprobs", false}}).top_logprobs.has_value());
  EXPECT_ERROR(CompletionOf({{"logprobs", true}}), "logprobs: expected a whole number from 0 to 20, found true");
}

TEST(OpenAiRequest, ToolsAsTemplatesHaveThem) {
  const Json tool = {{"type", "function"}, {"function", {{"name", "f"}, {"parameters", Json::object()}, {"x", 1}}}};
  EXPECT_EQ(ChatOf({{"tools", {tool}}}).template_values["tools"], Json::array({tool}));
  EXPECT_EQ(ChatOf({{"tools", {tool}}, {"tool_choice", "auto"}}).template_values["tools"], Json::array({tool}));
  EXPECT_TRUE(ChatOf({{"tools", {tool}}, {"tool_choice", "none"}}).template_values["tools"].is_null());
  EXPECT_TRUE(ChatOf({{"tools", Json::array()}}).template_values["tools"].is_null());
  EXPECT_TRUE(ChatOf({{"tool_choice", "auto"}, {"parallel_tool_calls", false}}).template_values["tools"].is_null());

  const Json call = {{"id", "1"}, {"type", "function"}, {"function", {{"name", "f"}, {"arguments", "{\"a\": 1}"}}}};
  const Json messages = MessagesOf({{{"role", "assistant"}, {"tool_calls", {call}}},
                                    {{"role", "tool"}, {"tool_call_id", "1"}, {"content", "r"}, {"name", "f"}},
                                    {{"role", "tool"}, {"content", nullptr}}});
  EXPECT_EQ(messages[0]["tool_calls"][0]["function"]["arguments"], Json::parse(R"({"a": 1})"));
  EXPECT_EQ(messages[0]["tool_calls"][0]["id"], "1");
  EXPECT_EQ(messages[0]["content"], "");
  EXPECT_EQ(messages[1], Json::parse(R"({"role": "tool", "content": "r", "name": "f", "tool_call_id": "1"})"));
  Json other = call;
  for (const Json& arguments : {Json(""), Json(nullptr), Json::object()}) {
    other["function"]["arguments"] = arguments;
    EXPECT_EQ(
        MessagesOf({{{"role", "assistant"}, {"tool_calls", {other}}}})[0]["tool_calls"][0]["function"]["arguments"],
        Json::object());
  }
}

TEST(OpenAiRequest, ValuesForTheTemplate) {
  const ApiRequest request = ChatOf({{"chat_template_kwargs", {{"enable_thinking", false}}},
                                     {"reasoning_effort", "low"},
                                     {"documents", {{{"title", "t"}, {"text", "x"}}}}});
  EXPECT_EQ(request.template_values["enable_thinking"], false);
  EXPECT_EQ(request.template_values["reasoning_effort"], "low");
  EXPECT_EQ(request.template_values["documents"][0]["title"], "t");
  EXPECT_TRUE(request.add_generation_prompt);
  EXPECT_FALSE(ChatOf({{"add_generation_prompt", false}}).add_generation_prompt);
  const ApiRequest goes_on = ChatOf({{"continue_final_message", true}});
  EXPECT_TRUE(goes_on.continue_final_message);
  EXPECT_FALSE(goes_on.add_generation_prompt);
}

TEST(OpenAiRequest, UnknownFieldsMayBeLetPassButNotUnsupportedOnes) {
  EXPECT_ERROR(CompletionOf({{"keep_alive", "5m"}}), "unknown parameter keep_alive");
  EXPECT_THAT(CompletionOf({{"keep_alive", "5m"}, {"options", Json::object()}}, true).ignored,
              ElementsAre("keep_alive", "options"));
  EXPECT_ERROR(CompletionOf({{"response_format", {{"type", "json_object"}}}}, true),
               "response_format is not supported");
  EXPECT_ERROR(CompletionOf({{"temperature", "hot"}}, true), "temperature: expected a number");
  const char* chat = R"({"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": "a", "c": 1}],
                         "x": 2}, {"role": "user", "content": "b", "x": 3}]})";
  EXPECT_THAT(ReadChatRequest(chat, true).ignored,
              ElementsAre("messages[].content[].c", "messages[].x", "messages[].x"));
  EXPECT_ERROR(ReadChatRequest(chat), "unknown parameter messages[0].content[0].c");
}

}  // namespace
}  // namespace ecld
