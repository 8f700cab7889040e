// The server as its clients see it: over a real socket.

#include "serve/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "runtime/generate.h"
#include "tests/serve/http_client.h"
#include "tests/serve/tiny_served.h"

namespace ecld {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class ServerTest : public testing::Test {
 protected:
  // Long answers fit and do not end, so that requests can be caught while they run.
  ServerTest() : tiny_({.max_position = 100'000}, NeverEnds) {}

  int Start(ServerOptions options = {}) {
    options.http.port = 0;
    options.model_name = "tiny";
    server_ = std::make_unique<Server>(tiny_.model, *tiny_.tokenizer, &tiny_.chat_template, tiny_.pool, options);
    return server_->port();
  }
  HttpClient Client() { return HttpClient(server_->port()); }

  std::string GreedyText(const std::string& prompt, int64_t max_tokens, bool chat = false) {
    Session session(tiny_.model, tiny_.pool);
    const auto ids = tiny_.tokenizer->Encode(prompt, !chat);
    const Generation generation = ecld::Generate(session, ids, {.max_tokens = max_tokens});
    TextStream stream(*tiny_.tokenizer, TextStream::Start::kContinuation);
    std::string text;
    for (int32_t token : generation.tokens) text += stream.Add(token);
    return text + stream.Finish();
  }
  void AwaitIdle() {
    for (int i = 0; i < 1000 && server_->engine().load().running > 0; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_EQ(server_->engine().load().running, 0);
    EXPECT_EQ(server_->engine().load().kv_reserved_B, 0u);
  }

  TinyServed tiny_;
  std::unique_ptr<Server> server_;
};

Json Completion(const Json& more = Json::object()) {
  Json body = {{"model", "tiny"}, {"prompt", "the end of"}, {"temperature", 0}, {"max_tokens", 8}};
  body.update(more);
  return body;
}

Json Chat(const Json& more = Json::object()) {
  Json body = {{"model", "tiny"},
               {"messages", Json::array({{{"role", "user"}, {"content", "hi"}}})},
               {"temperature", 0},
               {"max_tokens", 8}};
  body.update(more);
  return body;
}

// A request that runs until somebody ends it.
Json Endless(bool stream) { return Completion({{"max_tokens", 90'000}, {"stream", stream}}); }

TEST_F(ServerTest, ModelsAndHealth) {
  Start();
  HttpClient client = Client();
  EXPECT_EQ(client.Ask("GET", "/health").json()["status"], "ok");
  EXPECT_EQ(client.Ask("GET", "/v1/models").json()["data"][0]["id"], "tiny");
  EXPECT_EQ(client.Ask("GET", "/v1/models/tiny?x=1").json()["object"], "model");
  const HttpAnswer unknown = client.Ask("GET", "/v1/models/other");
  EXPECT_EQ(unknown.status, 404);
  EXPECT_EQ(unknown.json()["error"]["code"], "model_not_found");
}

TEST_F(ServerTest, ACompletionIsTheGreedyContinuation) {
  Start();
  HttpClient client = Client();
  const HttpAnswer answer = client.Post("/v1/completions", Completion());
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.content_type, "application/json");
  const Json json = answer.json();
  EXPECT_EQ(json["object"], "text_completion");
  EXPECT_EQ(json["choices"][0]["text"], GreedyText("the end of", 8));
  EXPECT_EQ(json["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(json["usage"]["prompt_tokens"], tiny_.tokenizer->Encode("the end of", true).size());
  EXPECT_EQ(json["usage"]["completion_tokens"], 8);
  // The same connection answers again, and ids say the same as their text.
  const Json by_ids =
      client.Post("/v1/completions", Completion({{"prompt", tiny_.tokenizer->Encode("the end of", true)}})).json();
  EXPECT_EQ(by_ids["choices"][0]["text"], json["choices"][0]["text"]);
}

TEST_F(ServerTest, ManyPromptsAndChoices) {
  Start();
  size_t prompt_tok = 0;
  for (const char* prompt : {"a", "the", "of"}) prompt_tok += tiny_.tokenizer->Encode(prompt, true).size();
  const Json json =
      Client().Post("/v1/completions", Completion({{"prompt", {"a", "the", "of"}}, {"n", 2}, {"echo", true}})).json();
  ASSERT_EQ(json["choices"].size(), 6u) << json;
  const char* prompts[] = {"a", "a", "the", "the", "of", "of"};
  for (size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(json["choices"][i]["index"], i);
    EXPECT_EQ(json["choices"][i]["text"], prompts[i] + GreedyText(prompts[i], 8));
  }
  EXPECT_EQ(json["usage"]["prompt_tokens"], prompt_tok);
  EXPECT_EQ(json["usage"]["completion_tokens"], 48);
}

TEST_F(ServerTest, TheSeedDecides) {
  Start();
  HttpClient client = Client();
  const auto text = [&](int seed) {
    return client.Post("/v1/completions", Completion({{"temperature", 1.2}, {"seed", seed}}))
        .json()["choices"][0]["text"]
        .get<std::string>();
  };
  EXPECT_EQ(text(1), text(1));
  EXPECT_NE(text(1), text(2));
}

TEST_F(ServerTest, AChatUsesTheTemplate) {
  Start();
  HttpClient client = Client();
  const Json parts = {
      {{"role", "developer"}, {"content", "be brief"}},
      {{"role", "user"}, {"content", {{{"type", "text"}, {"text", "h"}}, {{"type", "text"}, {"text", "i"}}}}}};
  const Json json = client.Post("/v1/chat/completions", Chat({{"messages", parts}, {"user", "me"}})).json();
  const std::string rendered = tiny_.chat_template.Render(
      {{{"role", "system"}, {"content", "be brief"}}, {{"role", "user"}, {"content", "hi"}}}, true);
  EXPECT_EQ(json["object"], "chat.completion") << json;
  EXPECT_EQ(json["choices"][0]["message"]["role"], "assistant");
  EXPECT_EQ(json["choices"][0]["message"]["content"], GreedyText(rendered, 8, true));
  EXPECT_EQ(json["usage"]["prompt_tokens"], tiny_.tokenizer->Encode(rendered, false).size());
}

TEST_F(ServerTest, AStreamSaysTheSameInParts) {
  Start();
  HttpClient client = Client();
  for (bool chat : {false, true}) {
    const std::string path = chat ? "/v1/chat/completions" : "/v1/completions";
    const Json more = {{"stream", true}, {"stream_options", {{"include_usage", true}}}, {"n", 2}};
    const HttpAnswer answer = client.Post(path, chat ? Chat(more) : Completion(more));
    ASSERT_EQ(answer.status, 200) << answer.body;
    EXPECT_EQ(answer.content_type, "text/event-stream");
    std::vector<std::string> events = answer.Events();
    ASSERT_GE(events.size(), 5u) << answer.body;
    EXPECT_EQ(events.back(), "[DONE]");
    const Json usage = Json::parse(events[events.size() - 2]);
    EXPECT_TRUE(usage["choices"].empty());
    EXPECT_EQ(usage["usage"]["completion_tokens"], 16);
    std::string texts[2], finish[2];
    for (size_t i = 0; i + 2 < events.size(); ++i) {
      const Json event = Json::parse(events[i]);
      EXPECT_TRUE(event["usage"].is_null());
      const Json& choice = event["choices"][0];
      const size_t index = choice["index"];
      if (!chat) texts[index] += choice["text"].get<std::string>();
      if (chat && choice["delta"].contains("content")) texts[index] += choice["delta"]["content"].get<std::string>();
      if (!choice["finish_reason"].is_null()) finish[index] = choice["finish_reason"];
    }
    const Json whole = client.Post(path, chat ? Chat() : Completion()).json()["choices"][0];
    for (size_t index : {0, 1}) {
      EXPECT_EQ(texts[index], chat ? whole["message"]["content"] : whole["text"]);
      EXPECT_EQ(finish[index], "length");
    }
  }
}

TEST_F(ServerTest, LogprobsInBothShapes) {
  Start();
  HttpClient client = Client();
  const Json completion =
      client.Post("/v1/completions", Completion({{"logprobs", 2}, {"echo", true}, {"max_tokens", 4}})).json();
  const Json& lists = completion["choices"][0]["logprobs"];
  const size_t prompt_tok = tiny_.tokenizer->Encode("the end of", true).size();
  ASSERT_EQ(lists["tokens"].size(), prompt_tok + 4) << completion;
  EXPECT_TRUE(lists["token_logprobs"][0].is_null());
  EXPECT_LT(lists["token_logprobs"][1], 0.0);
  EXPECT_EQ(lists["top_logprobs"][1].size(), 2u);
  EXPECT_EQ(lists["text_offset"][0], 0);
  EXPECT_EQ(lists["text_offset"][prompt_tok], std::string("the end of").size());

  const Json chat =
      client.Post("/v1/chat/completions", Chat({{"logprobs", true}, {"top_logprobs", 3}, {"max_tokens", 4}})).json();
  const Json& content = chat["choices"][0]["logprobs"]["content"];
  ASSERT_EQ(content.size(), 4u) << chat;
  for (const Json& token : content) {
    ASSERT_EQ(token["top_logprobs"].size(), 3u);
    EXPECT_EQ(token["top_logprobs"][0]["token"], token["token"]) << "greedy takes the most likely";
    EXPECT_EQ(token["top_logprobs"][0]["logprob"], token["logprob"]);
    EXPECT_TRUE(token["bytes"].is_array());
  }
}

TEST_F(ServerTest, AStopStringEndsAnAnswer) {
  Start();
  HttpClient client = Client();
  const std::string whole = GreedyText("the end of", 40);
  const size_t at = whole.find_first_of("abcdefghijklmnopqrstuvwxyz", 7);
  ASSERT_NE(at, std::string::npos) << whole;
  const std::string stop = whole.substr(at, 1);
  const Json json = client.Post("/v1/completions", Completion({{"max_tokens", 40}, {"stop", stop}})).json();
  EXPECT_EQ(json["choices"][0]["text"], whole.substr(0, whole.find(stop)));
  EXPECT_EQ(json["choices"][0]["finish_reason"], "stop");
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
      {text, Json::array(), "", "expected a JSON object, found a list"},
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
      {text, Completion({{"stop", ""}}), "stop", "a string of 1 to 256 bytes"},
      {text, Completion({{"stop", {"a", "b", "c", "d", "e"}}}), "stop", "a list of 1 to 4"},
      {text, Completion({{"stop", {"a", 1}}}), "stop", "found 1"},
      {text, Completion({{"stream", "yes"}}), "stream", "expected true or false"},
      {text, Completion({{"stream_options", Json::object()}}), "stream_options", "needs stream: true"},
      {text, Completion({{"stream", true}, {"stream_options", {{"x", 1}}}}), "stream_options.x", "unknown parameter"},
      {text, Completion({{"logprobs", 21}}), "logprobs", "a whole number from 0 to 20"},
      {text, Completion({{"best_of", 3}}), "best_of", "best_of is not supported"},
      {text, Completion({{"suffix", "x"}}), "suffix", "suffix is not supported"},
      {text, Completion({{"logit_bias", {{"1", 5}}}}), "logit_bias", "logit_bias is not supported"},
      {text, Completion({{"presence_penalty", 0.5}}), "presence_penalty", "is not supported"},
      {text, Completion({{"max_token", 5}}), "max_token", "unknown parameter max_token (did you mean max_tokens?)"},
      {chat, Chat({{"messages", "hi"}}), "messages", "a list of at least one message"},
      {chat, Chat({{"messages", Json::array()}}), "messages", "a list of at least one message"},
      {chat, Chat({{"messages", {1}}}), "messages[0]", "expected an object, found 1"},
      {chat, Chat({{"messages", {{{"content", "x"}}}}}), "messages[0].role", "role is missing"},
      {chat, Chat({{"messages", {{{"role", "user"}}}}}), "messages[0].content", "content is missing"},
      {chat, Chat({{"messages", {{{"role", "tool"}, {"content", "x"}}}}}), "messages[0].role", "found \"tool\""},
      {chat, Chat({{"messages", image}}), "messages[0].content[0].type", "\"text\", the only kind of content"},
      {chat, Chat({{"messages", {{{"role", "user"}, {"content", "x"}, {"tool_calls", {1}}}}}}),
       "messages[0].tool_calls", "is not supported"},
      {chat, Chat({{"tools", {{{"type", "function"}}}}}), "tools", "tools is not supported"},
      {chat, Chat({{"response_format", {{"type", "json_object"}}}}), "response_format", "is not supported"},
      {chat, Chat({{"top_logprobs", 3}}), "top_logprobs", "needs logprobs: true"},
      {chat, Chat({{"max_completion_tokens", 3}}), "max_tokens", "mean the same"},
      {chat, Chat({{"echo", true}}), "echo", "unknown parameter echo"},
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

TEST_F(ServerTest, PipelinedRequestsAreAnsweredInOrder) {
  Start();
  HttpClient client = Client();
  client.Send("GET /health HTTP/1.1\r\n\r\nGET /v1/models HTTP/1.1\r\n\r\nGET /none HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(client.Receive().json().contains("status"));
  EXPECT_TRUE(client.Receive().json().contains("data"));
  EXPECT_EQ(client.Receive().status, 404);
}

TEST_F(ServerTest, AnOldClientGetsAStreamWithoutChunks) {
  Start();
  HttpClient client = Client();
  const std::string body = Completion({{"stream", true}}).dump();
  client.Send("POST /v1/completions HTTP/1.0\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  const HttpAnswer answer = client.Receive();
  ASSERT_FALSE(answer.Events().empty()) << answer.body;
  EXPECT_EQ(answer.Events().back(), "[DONE]");
}

TEST_F(ServerTest, AClientThatLeavesFreesItsPlace) {
  Start({.engine = {.max_batch = 2}});
  for (bool stream : {true, false}) {
    HttpClient client = Client();
    const std::string body = Endless(stream).dump();
    client.Send("POST /v1/completions HTTP/1.1\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    if (stream) client.AwaitBytes();
    while (server_->engine().load().running == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    client.Close();
    AwaitIdle();
  }
}

TEST_F(ServerTest, AFullQueueIs429) {
  Start({.engine = {.max_queue = 1, .max_batch = 1}});
  HttpClient running = Client(), waiting = Client();
  const std::string body = Endless(true).dump();
  const std::string request =
      "POST /v1/completions HTTP/1.1\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  running.Send(request);
  running.AwaitBytes();
  waiting.Send(request);
  while (server_->engine().load().waiting == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  const HttpAnswer refused = Client().Post("/v1/completions", Completion());
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.retry_after, "1");
  EXPECT_EQ(refused.json()["error"]["code"], "queue_full");
}

TEST_F(ServerTest, KeysAreAskedFor) {
  Start({.api_keys = {"secret", "other"}});
  HttpClient client = Client();
  for (const char* header :
       {"", "Authorization: Bearer secre\r\n", "Authorization: secret\r\n", "Authorization: Bearer \r\n"}) {
    const HttpAnswer answer = client.Ask("GET", "/v1/models", "", header);
    EXPECT_EQ(answer.status, 401) << header;
    EXPECT_EQ(answer.json()["error"]["code"], "invalid_api_key");
  }
  EXPECT_EQ(client.Ask("GET", "/v1/models", "", "Authorization: Bearer other\r\n").status, 200);
  EXPECT_EQ(client.Ask("GET", "/health").status, 200) << "says nothing worth a key";
}

TEST_F(ServerTest, ShutdownEndsWhatRunsWithAReason) {
  const int port = Start({.engine = {.max_batch = 1}});
  HttpClient streaming = Client(), waiting = Client(), idle = Client();
  EXPECT_EQ(idle.Ask("GET", "/health").status, 200);
  const auto send = [](HttpClient& client, bool stream) {
    const std::string body = Endless(stream).dump();
    client.Send("POST /v1/completions HTTP/1.1\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  };
  send(streaming, true);
  streaming.AwaitBytes();
  send(waiting, false);
  while (server_->engine().load().waiting == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  HttpAnswer ended, refused;
  std::thread reader([&] { ended = streaming.Receive(); });
  std::thread other([&] { refused = waiting.Receive(); });
  server_->Shutdown(0.1);
  reader.join();
  other.join();
  EXPECT_THAT(ended.Events().back(), AllOf(HasSubstr("\"error\""), HasSubstr("shutting down")));
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.json()["error"]["code"], "shutting_down");
  EXPECT_EQ(idle.Receive().status, 0) << "closed";
  EXPECT_ANY_THROW(HttpClient{port});
}

TEST_F(ServerTest, AnAddressThatCannotBeTakenIsAnError) {
  const int port = Start();
  const auto message = [](const HttpOptions& options) -> std::string {
    try {
      HttpServer server(options);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(message({.port = port}), HasSubstr("cannot listen: Address already in use"));
  EXPECT_THAT(message({.host = "nowhere"}), HasSubstr("\"nowhere\" is not an address"));
  EXPECT_THAT(message({.port = 70'000}), HasSubstr("--port: is 70000, must be 0 to 65535"));
}

TEST(Server, WithoutATemplateChatsAreRefused) {
  TinyServed tiny;
  Server server(tiny.model, *tiny.tokenizer, nullptr, tiny.pool, {.http = {.port = 0}, .model_name = "tiny"});
  HttpClient client(server.port());
  const HttpAnswer answer = client.Post("/v1/chat/completions", Chat());
  EXPECT_EQ(answer.status, 400);
  EXPECT_THAT(answer.body, HasSubstr("no chat template: use /v1/completions"));
}

TEST(Server, WhatATemplateRefusesIsTheClientsError) {
  TinyServed tiny;
  const ChatTemplate strict("{{ raise_exception('roles must alternate') }}", "template");
  Server server(tiny.model, *tiny.tokenizer, &strict, tiny.pool, {.http = {.port = 0}, .model_name = "tiny"});
  const HttpAnswer answer = HttpClient(server.port()).Post("/v1/chat/completions", Chat());
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(answer.json()["error"]["param"], "messages");
  EXPECT_THAT(answer.body, HasSubstr("roles must alternate"));
}

}  // namespace
}  // namespace ecld
