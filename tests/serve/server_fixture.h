#pragma once
// A server on a tiny checkpoint, and the requests that its tests send.

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "runtime/generate.h"
#include "serve/server.h"
#include "tests/serve/http_client.h"
#include "tests/serve/tiny_served.h"

namespace ecld {

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

inline Json Completion(const Json& more = Json::object()) {
  Json body = {{"model", "tiny"}, {"prompt", "the end of"}, {"temperature", 0}, {"max_tokens", 8}};
  body.update(more);
  return body;
}

inline Json Chat(const Json& more = Json::object()) {
  Json body = {{"model", "tiny"},
               {"messages", Json::array({{{"role", "user"}, {"content", "hi"}}})},
               {"temperature", 0},
               {"max_tokens", 8}};
  body.update(more);
  return body;
}

// A request that runs until somebody ends it.
inline Json Endless(bool stream) { return Completion({{"max_tokens", 90'000}, {"stream", stream}}); }

}  // namespace ecld
