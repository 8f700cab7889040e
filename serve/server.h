#pragma once
// An OpenAI-compatible server for one checkpoint: HTTP in front, the engine behind.
//
//   GET  /v1/models  /v1/models/{name}  /health  /version
//   POST /v1/completions  /v1/chat/completions
//
//   Server server(model, *tokenizer, chat_template ? &*chat_template : nullptr, pool, options);
//   ...
//   server.Shutdown(5);
//
// Every request is answered, or refused with OpenAI's error object. One log line per request, without its text.

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "checkpoint/tokenizer/chat_template.h"
#include "serve/engine.h"
#include "serve/exchange.h"
#include "serve/http.h"

namespace ecld {

struct ServerOptions {
  HttpOptions http;
  EngineOptions engine;
  std::string model_name;             // what requests must name
  int64_t max_tokens_limit = 0;       // of one answer; 0 = what the context holds
  SamplingValues sampling;            // where a request does not say; then OpenAI's: temperature 1, and no cut
  bool ignore_unknown = false;        // fields of requests that this server does not know are no error
  std::vector<std::string> api_keys;  // empty: everybody may ask
};

// One on each line; empty lines do not count. THROWS Error where there is none.
std::vector<std::string> ReadApiKeys(const std::filesystem::path& file);

class Server {
 public:
  // chat_template: nullptr when the model has none; chat requests are then refused. All must outlive this.
  // THROWS Error: see HttpServer and Engine.
  Server(const RuntimeModel& model, const Tokenizer& tokenizer, const ChatTemplate* chat_template, ThreadPool& pool,
         ServerOptions options);
  ~Server();  // without grace

  int port() const { return http_.port(); }
  bool loopback() const { return http_.loopback(); }
  const Engine& engine() const { return engine_; }

  // Refuses new requests; those that run have so long to finish, then they end with an error that says why. Returns
  // when the clients have their answers, or a few seconds later.
  void Shutdown(double grace_s);

 private:
  void Handle(const HttpRequest& request, const std::shared_ptr<HttpReply>& reply);
  void Route(const HttpRequest& request, const std::shared_ptr<Exchange>& exchange);
  void Continue(ApiRequest request, const std::shared_ptr<Exchange>& exchange);
  void CheckKey(const HttpRequest& request) const;
  void CheckModel(const std::string& name) const;
  std::vector<SequenceRequest> Sequences(const ApiRequest& request, std::vector<Answer::Choice>* choices);
  std::vector<int32_t> PromptIds(const ApiRequest& request, const ApiPrompt& prompt, Answer::Choice* choice) const;
  std::vector<int32_t> ChatIds(const ApiRequest& request);
  int64_t MaxTokens(const ApiRequest& request, int64_t prompt_tok) const;
  void CheckId(int32_t id, const char* param) const;
  void CheckPrompt(const std::vector<int32_t>& ids, const char* param) const;
  void LogOnce(const std::string& what);
  Json ModelJson() const;
  Json HealthJson() const;
  static Json ProgramJson();

  ServerOptions options_;
  const RuntimeModel& model_;
  const Tokenizer& tokenizer_;
  const ChatTemplate* chat_template_;
  int64_t created_;
  std::atomic<bool> closed_{false};
  std::atomic<uint64_t> next_id_{1};
  std::mutex said_mutex_;
  std::set<std::string> said_;  // by LogOnce
  // The engine ends first: its sinks hold replies, which need the HTTP server's threads no more but its memory.
  HttpServer http_;
  Engine engine_;
};

}  // namespace ecld
