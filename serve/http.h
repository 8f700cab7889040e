#pragma once
// A small HTTP/1.1 server on Boost.Beast: requests with bounded header, body and time, keep-alive, whole or streamed
// answers, HEAD wherever GET is served, CORS, and word of clients that leave. It knows nothing of what is served. Only
// plain HTTP: no TLS.
//
//   HttpServer server({.port = 0});
//   server.Start([](const HttpRequest& request, std::shared_ptr<HttpReply> reply) {
//     reply->Send({.body = "{}"});      // or StartStream, Write ..., End; now, or later from any thread
//   });
//
// The handler runs on one of a few threads, several at once; it may take its time for work, not wait.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "serve/http_headers.h"

namespace ecld {

struct HttpRequest {
  std::string method, path, client;  // path: see PathOfTarget; client: address and port
  std::string authorization;
  std::string body;
};

struct HttpResponse {
  int status = 200;
  std::string body;
  std::string content_type = "application/json";
  HttpHeaders headers;
};

struct HttpOptions {
  std::string host = "127.0.0.1";  // an address, or a name: of that all addresses
  int port = 8080;                 // 0: any free one
  int64_t max_connections = 512;   // more wait in the kernel's queue
  uint64_t max_body_B = 4'000'000;
  uint64_t max_unsent_B = 4'000'000;  // of an answer that the client does not read; then it is dropped
  int64_t request_timeout_s = 30;     // for a request to arrive, counted from its connection or the last answer
  int64_t write_timeout_s = 30;       // for the client to take a part of an answer
  // Of web pages that may read answers (CORS), like http://localhost:3000; "*": all. Preflight requests are then
  // answered here.
  std::vector<std::string> cors_origins;
  // What is answered to something that is no request or too long, and where a handler gives no answer.
  std::function<HttpResponse(int status, const std::string& message)> refusal;
};

// The answer to one request: Send once, or StartStream, Write any number of times, End. Thread-safe, and harmless when
// the client or the server is gone.
class HttpReply {
 public:
  virtual ~HttpReply() = default;
  virtual void Send(HttpResponse response) = 0;
  virtual void StartStream(std::string content_type) = 0;
  virtual void Write(std::string part) = 0;
  virtual void End() = 0;
  // Called once if the client leaves before it has the whole answer; at once if it has left already. A client that
  // closes only its sending side counts as gone.
  virtual void OnGone(std::function<void()> gone) = 0;
};

class HttpServer {
 public:
  using Handler = std::function<void(const HttpRequest& request, std::shared_ptr<HttpReply> reply)>;

  // Listens; who connects has to wait for Start. THROWS Error when the address is malformed, unknown or taken.
  explicit HttpServer(const HttpOptions& options);
  ~HttpServer();  // Stop
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  void Start(Handler handler);

  int port() const;
  bool loopback() const;

  // Accepts no more connections; those that wait for a request are closed, the others after their answer.
  void Close();
  // Waits until all connections are closed, for at most so long. Returns whether they are.
  bool AwaitIdle(double seconds);
  // Drops what is open. The handler is not running afterwards and not called any more; replies may still be used, to no
  // effect, as long as this object lives.
  void Stop();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ecld
