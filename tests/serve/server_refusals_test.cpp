// What the server refuses, and what it says then.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/serve/server_fixture.h"

namespace ecld {
namespace {

using testing::HasSubstr;

// A chat whose one message holds this call of a tool.
Json Called(Json call) {
  return Chat({{"messages", {{{"role", "assistant"}, {"tool_calls", Json::array({std::move(call)})}}}}});
}

struct Refusal {
  std::string path;
  Json body;
  std::string param, message;
};

TEST_F(ServerTest, WrongRequestsAreRefusedByTheNameOfTheParameter) {
  Start({.engine = {.max_queue = 4}, .max_tokens_limit = 1000});
  const std::string text = "/v1/completions", chat = "/v1/chat/completions";
  const Json image = {{{"role", "user"}, {"content", {{{"type", "image_url"}}}}}};
  const std::vector<Refusal> refusals = {
      {text, Json::array(), "", "expected a JSON object, found []"},
      {text, {{"prompt", "a"}}, "model", "model is missing"},
      {text, {{"model", "tiny"}}, "prompt", "prompt is missing"},
      {text, Completion({{"model", 3}}), "model", "expected a string, found 3"},
      {text, Completion({{"prompt", ""}}), "prompt", "holds no tokens"},
      {text, Completion({{"prompt", Json::array()}}), "prompt", "expected a string, token ids, or a list of either"},
      {text, Completion({{"prompt", {1, "a"}}}), "prompt", "found \"a\""},
      {text, Completion({{"prompt", {"a", 1}}}), "prompt[1]", "found 1"},
      {text, Completion({{"prompt", {1, 999}}}), "prompt", "token id 999 is outside the vocabulary of 300"},
      {text, Completion({{"prompt", {-1}}}), "prompt", "found -1"},
      {text, Completion({{"max_tokens", "8"}}), "max_tokens", "expected a whole number of at least 0, found \"8\""},
      {text, Completion({{"max_tokens", 1.5}}), "max_tokens", "found 1.5"},
      {text, Completion({{"max_tokens", 0}}), "max_tokens", "or 0 together with echo"},
      {text, Completion({{"max_tokens", 1001}}), "max_tokens", "at most 1000 tokens, found 1001"},
      {text, Completion({{"max_tokens", 18446744073709551615u}}), "max_tokens", "found 18446744073709551615"},
      {text, Completion({{"temperature", 2.5}}), "temperature", "expected a number from 0 to 2, found 2.5"},
      {text, Completion({{"temperature", "hot"}}), "temperature", "found \"hot\""},
      {text, Completion({{"top_p", 0}}), "top_p", "a number above 0"},
      {text, Completion({{"n", 0}}), "n", "a whole number from 1 to 128"},
      {text, Completion({{"n", 5}}), "n", "asks for 5 texts at once, this server takes up to 4"},
      {text, Completion({{"seed", "x"}}), "seed", "found \"x\""},
      {text, Completion({{"stop", ""}}), "stop", "a string, or a list of strings, none of them empty, found \"\""},
      {text, Completion({{"stop", {"a", ""}}}), "stop", "none of them empty"},
      {text, Completion({{"stop", std::string(70'000, 'x')}}), "stop", "65536 bytes together at most"},
      {text, Completion({{"stop_token_ids", 3}}), "stop_token_ids", "a list of token ids, found 3"},
      {text, Completion({{"stop_token_ids", {-3}}}), "stop_token_ids", "found -3"},
      {text, Completion({{"ignore_eos", 1}}), "ignore_eos", "expected true or false"},
      {text, Completion({{"top_k", -2}}), "top_k", "a whole number of at least -1"},
      {text, Completion({{"min_p", 1.5}}), "min_p", "a number from 0 to 1"},
      {text, Completion({{"repetition_penalty", 0}}), "repetition_penalty", "a number from 0.01 to 100"},
      {text, Completion({{"frequency_penalty", -2.5}}), "frequency_penalty", "a number from -2 to 2"},
      {text, Completion({{"presence_penalty", 3}}), "presence_penalty", "a number from -2 to 2"},
      {text, Completion({{"stop", {"a", 1}}}), "stop", "found 1"},
      {text, Completion({{"stream", "yes"}}), "stream", "expected true or false"},
      {text, Completion({{"stream_options", Json::object()}}), "stream_options", "needs stream: true"},
      {text, Completion({{"stream", true}, {"stream_options", {{"x", 1}}}}), "stream_options.x", "unknown parameter"},
      {text, Completion({{"logprobs", 21}}), "logprobs", "a whole number from 0 to 20"},
      {text, Completion({{"best_of", 3}}), "best_of", "best_of is not supported"},
      {text, Completion({{"n", 2}, {"best_of", 3}}), "best_of", "best_of is not supported"},
      {text, Completion({{"suffix", "x"}}), "suffix", "suffix is not supported"},
      {text, Completion({{"logit_bias", {{"05", 1}}}}), "logit_bias", "token ids as keys, found \"05\""},
      {text, Completion({{"logit_bias", {1}}}), "logit_bias", "an object from token ids to numbers, found [1]"},
      {text, Completion({{"logit_bias", {{"one", 5}}}}), "logit_bias", "token ids as keys, found \"one\""},
      {text, Completion({{"logit_bias", {{"1", 101}}}}), "logit_bias.1", "a number from -100 to 100, found 101"},
      {text, Completion({{"logit_bias", {{"300", 1}}}}), "logit_bias", "id 300 is outside the vocabulary of 300"},
      {text, Completion({{"guided_json", Json::object()}}), "guided_json", "guided_json is not supported"},
      {text, Completion({{"min_tokens", 2}}), "min_tokens", "min_tokens is not supported"},
      {text, Completion({{"repeat_penalty", 1.1}}), "repeat_penalty", "repeat_penalty is not supported"},
      {text, Completion({{"max_token", 5}}), "max_token", "unknown parameter max_token (did you mean max_tokens?)"},
      {chat, Chat({{"messages", "hi"}}), "messages", "a list of at least one message"},
      {chat, Chat({{"messages", Json::array()}}), "messages", "a list of at least one message, found []"},
      {chat, Chat({{"messages", {1}}}), "messages[0]", "expected an object, found 1"},
      {chat, Chat({{"messages", {{{"content", "x"}}}}}), "messages[0].role", "role is missing"},
      {chat, Chat({{"messages", {{{"role", "user"}}}}}), "messages[0].content", "content is missing"},
      {chat, Chat({{"messages", {{{"role", "function"}, {"content", "x"}}}}}), "messages[0].role",
       "expected system, developer, user, assistant or tool, found \"function\""},
      {chat, Chat({{"messages", image}}), "messages[0].content[0].type", "\"text\", the only kind of content"},
      {chat, Chat({{"messages", {{{"role", "user"}, {"content", "x"}, {"tool_calls", {1}}}}}}),
       "messages[0].tool_calls", "is not supported"},
      {chat, Called({{"type", "custom"}}), "messages[0].tool_calls[0].type", "\"function\", the only kind of tool"},
      {chat, Called({{"id", "1"}}), "messages[0].tool_calls[0].function", "function is missing"},
      {chat, Called({{"function", {{"arguments", "{}"}}}}), "messages[0].tool_calls[0].function.name", "is missing"},
      {chat, Called({{"function", {{"name", "f"}, {"arguments", "{\"a\":"}}}}),
       "messages[0].tool_calls[0].function.arguments", "a JSON object, or the text of one"},
      {chat, Called({{"function", {{"name", "f"}, {"arguments", "[1]"}}}}),
       "messages[0].tool_calls[0].function.arguments", "a JSON object, or the text of one"},
      {chat, Chat({{"messages", {{{"role", "user"}, {"content", "x"}, {"audio", {{"id", "a"}}}}}}}),
       "messages[0].audio", "is not supported"},
      {chat, Chat({{"tools", {{{"type", "function"}}}}}), "tools[0].function", "function is missing"},
      {chat, Chat({{"tools", {{{"type", "web_search"}}}}}), "tools[0].type", "\"function\", the only kind of tool"},
      {chat, Chat({{"tools", {{{"type", "function"}, {"function", Json::object()}}}}}), "tools[0].function.name",
       "is missing"},
      {chat, Chat({{"tool_choice", "required"}}), "tool_choice", "tool_choice is not supported"},
      {chat, Chat({{"tool_choice", {{"type", "function"}, {"function", {{"name", "f"}}}}}}), "tool_choice",
       "tool_choice is not supported"},
      {chat, Chat({{"functions", {{{"name", "f"}}}}}), "functions", "functions is not supported"},
      {chat, Chat({{"documents", "x"}}), "documents", "a list of objects"},
      {chat, Chat({{"documents", {"x"}}}), "documents", "a list of objects, found \"x\""},
      {chat, Chat({{"chat_template_kwargs", 1}}), "chat_template_kwargs", "an object, found 1"},
      {chat, Chat({{"chat_template_kwargs", {{"tools", 1}}}}), "chat_template_kwargs.tools",
       "is a field of the request itself"},
      {chat, Chat({{"add_generation_prompt", true}, {"continue_final_message", true}}), "continue_final_message",
       "give one"},
      {chat, Chat({{"response_format", {{"type", "json_object"}}}}), "response_format", "is not supported"},
      {chat, Chat({{"top_logprobs", 3}}), "top_logprobs", "needs logprobs: true"},
      {chat, Chat({{"max_completion_tokens", 3}}), "max_tokens", "mean the same"},
      {chat, Chat({{"echo", true}}), "echo", "echo is not supported"},
  };
  HttpClient client = Client();
  for (const Refusal& refusal : refusals) {
    const HttpAnswer answer = client.Post(refusal.path, refusal.body);
    EXPECT_EQ(answer.status, 400) << refusal.body << answer.body;
    const Json error = answer.json()["error"];
    EXPECT_EQ(error["type"], "invalid_request_error");
    EXPECT_EQ(error["param"], refusal.param.empty() ? Json(nullptr) : Json(refusal.param)) << refusal.body;
    EXPECT_THAT(error["message"].get<std::string>(), HasSubstr(refusal.message)) << refusal.body;
  }
  EXPECT_EQ(client.Post(text, Completion()).status, 200) << "and the server is none the worse";
}

TEST_F(ServerTest, NullAndNeutralValuesAreAccepted) {
  Start();
  const Json answer = Client()
                          .Post("/v1/chat/completions", Chat({{"stop", nullptr},
                                                              {"seed", nullptr},
                                                              {"n", 1},
                                                              {"frequency_penalty", 0},
                                                              {"presence_penalty", 0.0},
                                                              {"logit_bias", Json::object()},
                                                              {"tools", Json::array()},
                                                              {"tool_choice", "none"},
                                                              {"stop_token_ids", Json::array()},
                                                              {"best_of", 1},
                                                              {"store", true},
                                                              {"functions", nullptr},
                                                              {"what_nobody_knows", nullptr},
                                                              {"max_completion_tokens", 8},
                                                              {"top_logprobs", 0},
                                                              {"guided_json", nullptr},
                                                              {"response_format", {{"type", "text"}}},
                                                              {"metadata", {{"a", "b"}}}}))
                          .json();
  EXPECT_TRUE(answer.contains("choices")) << answer;
}

TEST_F(ServerTest, TheContextIsALimit) {
  Start({.engine = {.context = 20}});
  HttpClient client = Client();
  const size_t prompt_tok = tiny_.tokenizer->Encode("the end of", true).size();
  const auto ask = [&](size_t max_tokens) {
    return client.Post("/v1/completions", Completion({{"max_tokens", max_tokens}}));
  };
  EXPECT_EQ(ask(20 - prompt_tok + 1).status, 200);
  const HttpAnswer too_long = ask(20 - prompt_tok + 2);
  EXPECT_EQ(too_long.status, 400);
  EXPECT_EQ(too_long.json()["error"]["code"], "context_length_exceeded");
  EXPECT_EQ(too_long.json()["error"]["param"], "prompt");
  EXPECT_THAT(too_long.body, HasSubstr("do not fit into the context of 20"));
  // A chat that does not say takes what is left.
  Json chat = Chat();
  chat.erase("max_tokens");
  const Json rest = client.Post("/v1/chat/completions", chat).json();
  EXPECT_LE(rest["usage"]["total_tokens"], 21) << rest;
}

TEST_F(ServerTest, AChatOfNoTokensIsRefused) {
  tiny_.chat_template = ChatTemplate("{{ messages[0].content }}", "test");
  Start();
  const HttpAnswer empty =
      Client().Post("/v1/chat/completions", Chat({{"messages", Json::array({{{"role", "user"}, {"content", ""}}})}}));
  EXPECT_EQ(empty.status, 400);
  EXPECT_THAT(empty.body, HasSubstr("messages: holds no tokens"));
  EXPECT_EQ(Client().Post("/v1/chat/completions", Chat()).status, 200) << "the server goes on";
}

TEST_F(ServerTest, WhatIsNoRequestIsSaidSo) {
  Start({.http = {.max_body_B = 2000}});
  HttpClient client = Client();
  const HttpAnswer not_json = client.Ask("POST", "/v1/completions", "{\"model\": ");
  EXPECT_EQ(not_json.status, 400);
  EXPECT_THAT(not_json.body, HasSubstr("not valid JSON"));
  EXPECT_EQ(client.Ask("POST", "/v1/completions", std::string("{\"model\":\"\xff\"}")).status, 400);
  EXPECT_THAT(client.Ask("POST", "/v1/completions", std::string(1000, '[')).body, HasSubstr("nested deeper"));
  EXPECT_EQ(client.Ask("GET", "/v1/completion").status, 404);
  EXPECT_EQ(client.Ask("GET", "/v1/completions").status, 405);
  EXPECT_EQ(client.Ask("DELETE", "/health").status, 405);
  const HttpAnswer other = client.Post("/v1/completions", Completion({{"model", "gpt"}}));
  EXPECT_EQ(other.status, 404);
  EXPECT_EQ(other.json()["error"]["param"], "model");

  const HttpAnswer too_long = client.Ask("POST", "/v1/completions", std::string(2001, ' '));
  EXPECT_EQ(too_long.status, 413);
  EXPECT_THAT(too_long.body, HasSubstr("longer than 2000 bytes"));
  HttpClient headers = Client();
  EXPECT_EQ(headers.Ask("GET", "/health", "", "X: " + std::string(20'000, 'x') + "\r\n").status, 431);
  for (const char* bytes : {"hello\r\n\r\n", "GET /health HTTP/7.3\r\n\r\n",
                            "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "\x16\x03\x01\x02 TLS \r\n\r\n"}) {
    HttpClient garbage = Client();
    garbage.Send(bytes);
    const HttpAnswer answer = garbage.Receive();
    EXPECT_EQ(answer.status, 400) << bytes;
    EXPECT_THAT(answer.body, HasSubstr("not an HTTP request")) << bytes;
  }
  HttpClient chunked = Client();
  chunked.Send("POST /v1/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < 5; ++i) chunked.Send("1f4\r\n" + std::string(500, ' ') + "\r\n");
  EXPECT_EQ(chunked.Receive().status, 413);
}

}  // namespace
}  // namespace ecld
