// What ordinary clients, browsers and proxies send in HTTP/1.1 and expect back.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/serve/server_fixture.h"

namespace ecld {
namespace {

using testing::HasSubstr;

TEST_F(ServerTest, HeadIsGetWithoutABody) {
  Start();
  HttpClient client = Client();
  for (const char* path : {"/health", "/v1/models", "/v1/models/tiny", "/"}) {
    const HttpAnswer head = client.Ask("HEAD", path);
    EXPECT_EQ(head.status, 200) << path;
    EXPECT_EQ(head.body, "");
    EXPECT_EQ(head.content_type, "application/json");
    EXPECT_EQ(head.Header("Content-Length"), std::to_string(client.Ask("GET", path).body.size())) << path;
  }
  EXPECT_EQ(client.Ask("HEAD", "/nowhere").status, 404);
  const HttpAnswer wrong = client.Ask("HEAD", "/v1/completions");
  EXPECT_EQ(wrong.status, 405);
  EXPECT_EQ(wrong.Header("Allow"), "POST, OPTIONS");
  EXPECT_EQ(client.Ask("DELETE", "/health").Header("Allow"), "GET, HEAD, OPTIONS");
  const HttpAnswer options = client.Ask("OPTIONS", "/");
  EXPECT_EQ(options.status, 204);
  EXPECT_EQ(options.Header("Allow"), "GET, HEAD, OPTIONS");
  EXPECT_EQ(client.Ask("OPTIONS", "*").status, 204);
  EXPECT_EQ(client.Ask("OPTIONS", "/nowhere").status, 404);
}

TEST_F(ServerTest, PathsThatOtherServersHave) {
  Start();
  HttpClient client = Client();
  for (const char* path : {"/v1/health", "/ping", "/health/"})
    EXPECT_EQ(client.Ask("GET", path).json()["status"], "ok");
  for (const char* path : {"/models", "/v1/models/", "http://proxy:1/v1/models?x=1"})
    EXPECT_EQ(client.Ask("GET", path).json()["data"][0]["id"], "tiny") << path;
  for (const char* path : {"/", "/v1", "/version"}) EXPECT_EQ(client.Ask("GET", path).json()["program"], "ecld");
  EXPECT_EQ(client.Post("/chat/completions", Chat()).status, 200);
  for (const char* path : {"/completions", "//v1/completions"})
    EXPECT_EQ(client.Post(path, Completion()).status, 200) << path;
  for (const char* path : {"/models/tiny", "/v1/models/tiny"}) EXPECT_EQ(client.Ask("GET", path).json()["id"], "tiny");
  EXPECT_EQ(client.Post("/v1/v1/completions", Completion()).json()["error"]["message"],
            "there is no /v1/v1/completions here; GET / lists the paths that there are");
  EXPECT_EQ(client.Post("http://proxy:1/v1/completions/", Completion()).status, 200);
  EXPECT_EQ(client.Ask("GET", "/v1/models/other%2Fone").json()["error"]["message"],
            "the model \"other/one\" does not exist, this server has \"tiny\"");
}

TEST_F(ServerTest, ABodyInChunksOrAfterAWord) {
  Start();
  HttpClient client = Client();
  const std::string body = Completion().dump();
  const std::string expected = client.Post("/v1/completions", Completion()).json()["choices"][0]["text"];
  client.Send("POST /v1/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n" + body.substr(0, 5) + "\r\n");
  client.Send(fmt::format("{:x}\r\n{}\r\n0\r\n\r\n", body.size() - 5, body.substr(5)));
  EXPECT_EQ(client.Receive().json()["choices"][0]["text"], expected);

  const std::string header =
      "POST /v1/completions HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: " + std::to_string(body.size()) +
      "\r\n";
  client.Send(header + "\r\n");
  EXPECT_EQ(client.Receive(true).status, 100);
  client.Send(body);
  EXPECT_EQ(client.Receive().json()["choices"][0]["text"], expected);
  client.Send(header + "\r\n" + body);
  EXPECT_EQ(client.Receive().json()["choices"][0]["text"], expected) << "a body that is there needs no word";
  EXPECT_EQ(client.Ask("GET", "/health", "", "Expect: 100-continue\r\n").status, 200) << "there is no body to wait for";
}

TEST_F(ServerTest, EmptyLinesBeforeARequestArePassedOver) {
  Start();
  HttpClient client = Client();
  const std::string get = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n";
  client.Send("\r\n" + get);
  EXPECT_EQ(client.Receive().status, 200);
  client.Send("\r\n\n");  // behind the last one, in a packet of their own
  client.Send(get + "\r\n" + get);
  EXPECT_EQ(client.Receive().status, 200);
  EXPECT_EQ(client.Receive().status, 200);
  const std::string body = Completion().dump();
  client.Send(
      fmt::format("POST /v1/completions HTTP/1.1\r\nContent-Length: {}\r\n\r\n{}\r\n{}", body.size(), body, get));
  EXPECT_EQ(client.Receive().status, 200);
  EXPECT_EQ(client.Receive().status, 200);
}

TEST_F(ServerTest, WhatCannotBeReadIsRefusedByName) {
  Start({.http = {.max_body_B = 2000}});
  const auto ask = [&](const std::string& headers) {
    HttpClient client = Client();
    client.Send("POST /v1/completions HTTP/1.1\r\n" + headers + "\r\n");
    return client.Receive();
  };
  const HttpAnswer packed = ask("Content-Encoding: gzip\r\nContent-Length: 20\r\n");
  EXPECT_EQ(packed.status, 415);
  EXPECT_THAT(packed.body, HasSubstr("the body has Content-Encoding gzip, expected one without"));
  EXPECT_EQ(ask("Content-Encoding: identity\r\nContent-Length: 0\r\n").status, 400) << "an empty body is no JSON";
  const HttpAnswer coded = ask("Transfer-Encoding: gzip, chunked\r\n");
  EXPECT_EQ(coded.status, 501);
  EXPECT_THAT(coded.body, HasSubstr("Transfer-Encoding gzip, chunked, expected chunked or none"));
  const HttpAnswer unknown = ask("Expect: the unexpected\r\nContent-Length: 20\r\n");
  EXPECT_EQ(unknown.status, 417);
  EXPECT_THAT(unknown.body, HasSubstr("expected 100-continue"));
  EXPECT_EQ(ask("Expect: 100-continue\r\nContent-Length: 3000\r\n").status, 413) << "before the client sends it";
}

TEST_F(ServerTest, AnyContentTypeAndTheOldHttp) {
  Start();
  for (const char* type : {"", "Content-Type: application/json; charset=utf-8\r\n", "Content-Type: text/plain\r\n"})
    EXPECT_EQ(Client().Ask("POST", "/v1/completions", Completion().dump(), type).status, 200) << type;
  HttpClient old = Client();
  for (int i = 0; i < 2; ++i) {
    old.Send("GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    const HttpAnswer answer = old.Receive();
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.Header("Connection"), "keep-alive");
  }
  HttpClient closing = Client();
  EXPECT_EQ(closing.Ask("GET", "/health", "", "Connection: close\r\n").Header("Connection"), "close");
  EXPECT_EQ(closing.Ask("GET", "/health").status, 0) << "closed";
}

TEST_F(ServerTest, PagesOfOtherOriginsMayReadWhereTheyAreAllowed) {
  Start({.http = {.max_body_B = 2000, .cors_origins = {"http://page:1"}}, .api_keys = {"key"}});
  const std::string origin = "Origin: http://page:1\r\n", key = "Authorization: Bearer key\r\n";
  const std::string preflight =
      "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization,x-a\r\n";
  HttpClient client = Client();
  const HttpAnswer asked = client.Ask("OPTIONS", "/v1/chat/completions", "", origin + preflight);
  EXPECT_EQ(asked.status, 204) << "and needs no key";
  EXPECT_EQ(asked.Header("Access-Control-Allow-Origin"), "http://page:1");
  EXPECT_EQ(asked.Header("Access-Control-Allow-Headers"), "authorization,x-a");
  EXPECT_THAT(asked.Header("Access-Control-Allow-Methods"), HasSubstr("POST"));
  const std::string stream = Completion({{"stream", true}}).dump();
  EXPECT_EQ(client.Ask("POST", "/v1/completions", stream, origin + key).Header("Access-Control-Allow-Origin"),
            "http://page:1");
  for (const auto& [path, headers] : {std::pair("/v1/models", origin), std::pair("/v1/models", origin + key),
                                      std::pair("/nowhere", origin), std::pair("/health", origin)})
    EXPECT_EQ(client.Ask("GET", path, "", headers).Header("Access-Control-Allow-Origin"), "http://page:1") << path;
  const HttpAnswer too_long = client.Ask("POST", "/v1/completions", std::string(3000, ' '), origin + key);
  EXPECT_EQ(too_long.status, 413);
  EXPECT_EQ(too_long.Header("Access-Control-Allow-Origin"), "http://page:1");
  const HttpAnswer other = Client().Ask("GET", "/health", "", "Origin: http://other\r\n");
  EXPECT_EQ(other.status, 200);
  EXPECT_EQ(other.Header("Access-Control-Allow-Origin"), "");
  EXPECT_EQ(other.Header("Vary"), "Origin");
}

TEST_F(ServerTest, WithoutTheOptionNoPageMayRead) {
  Start();
  HttpClient client = Client();
  const HttpAnswer asked =
      client.Ask("OPTIONS", "/v1/models", "", "Origin: http://page:1\r\nAccess-Control-Request-Method: GET\r\n");
  EXPECT_EQ(asked.status, 204);
  EXPECT_EQ(asked.Header("Access-Control-Allow-Origin"), "");
  EXPECT_EQ(client.Ask("GET", "/health", "", "Origin: http://page:1\r\n").Header("Access-Control-Allow-Origin"), "");
}

TEST_F(ServerTest, ANameIsListenedOnByAllItsAddresses) {
  Start({.http = {.host = "localhost"}});
  EXPECT_EQ(Client().Ask("GET", "/health").status, 200) << "127.0.0.1 is one of them";
  EXPECT_TRUE(server_->loopback());
}

}  // namespace
}  // namespace ecld
