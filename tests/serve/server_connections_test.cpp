// Clients that leave, queue up, pipeline or have no key, and the end of the server.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/files.h"
#include "tests/serve/server_fixture.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/temp_dir.h"

namespace ecld {
namespace {

using testing::AllOf;
using testing::HasSubstr;

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
    // An empty line behind the request does not look like the next one.
    client.Send(fmt::format("POST /v1/completions HTTP/1.1\r\nContent-Length: {}\r\n\r\n{}\r\n", body.size(), body));
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
  for (const char* scheme : {"Bearer", "bearer"})
    EXPECT_EQ(client.Ask("GET", "/v1/models", "", fmt::format("Authorization: {} other\r\n", scheme)).status, 200);
  EXPECT_EQ(client.Ask("GET", "/health").status, 200) << "says nothing worth a key";
}

TEST(ApiKeys, AreTheLinesOfAFile) {
  TempDir directory;
  WriteFileAtomically(directory / "keys", "secret\r\n\nother key");
  EXPECT_THAT(ReadApiKeys(directory / "keys"), testing::ElementsAre("secret", "other key"));
  WriteFileAtomically(directory / "none", "\n\r\n");
  EXPECT_ERROR(ReadApiKeys(directory / "none"), "none: holds no key, expected one per line");
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
  EXPECT_THAT(message({.host = "nowhere"}), HasSubstr("\"nowhere\" is not an address, and no name that is known here"));
  EXPECT_THAT(message({.cors_origins = {"localhost:3000"}}),
              HasSubstr("--cors-origin: \"localhost:3000\" is not an origin, expected * or one like"));
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

TEST(Server, ATemplateThatCannotBeReadCostsChatOnly) {
  TinyServed tiny;
  TempDir directory;
  WriteFileAtomically(directory / "chat_template.jinja", "\n{% nothing %}");
  const auto unreadable = ChatTemplate::Open(directory.path(), {});
  Server server(tiny.model, *tiny.tokenizer, &*unreadable, tiny.pool, {.http = {.port = 0}, .model_name = "tiny"});
  HttpClient client(server.port());
  const HttpAnswer chat = client.Post("/v1/chat/completions", Chat());
  EXPECT_EQ(chat.status, 400);
  EXPECT_THAT(chat.body, HasSubstr("chat_template.jinja:2: tag \\\"nothing\\\" is not supported"));
  EXPECT_THAT(chat.body, HasSubstr("--chat-template FILE"));
  EXPECT_EQ(client.Post("/v1/completions", {{"model", "tiny"}, {"prompt", "a"}, {"max_tokens", 1}}).status, 200);
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
