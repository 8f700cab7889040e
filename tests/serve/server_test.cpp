// What the server answers, as its clients see it: over a real socket.

#include "serve/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/serve/server_fixture.h"

namespace ecld {
namespace {

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
      {{{"role", "system"}, {"content", "be brief"}}, {{"role", "user"}, {"content", "h\ni"}}}, true);
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

}  // namespace
}  // namespace ecld
