#pragma once
// One request and its answer, from the first byte to the last: a JSON object, a stream of events, or an error; and the
// line about it in the log.

#include <atomic>
#include <chrono>
#include <memory>
#include <string>

#include "serve/engine.h"
#include "serve/http.h"
#include "serve/openai_answer.h"

namespace ecld {

ApiError ShuttingDown();
HttpResponse ErrorResponse(const std::string& message, const ApiError::Detail& detail);

// Calls come from the thread of the HTTP handler until the engine has the request, and from the engine's thread
// afterwards; only the news that the client left comes at any time.
class Exchange {
 public:
  Exchange(const HttpRequest& request, std::shared_ptr<HttpReply> reply);

  // Ends it.
  void Send(const Json& body);
  void SendMethods(const std::string& allowed);  // the answer to OPTIONS
  void Refuse(const std::string& message, const ApiError::Detail& detail);

  // From here on answer takes what Take is given. Sets *cancelled when the client leaves.
  static void Begin(const std::shared_ptr<Exchange>& exchange, std::unique_ptr<Answer> answer, bool stream);
  void Take(size_t choice, SequenceUpdate update);
  const std::shared_ptr<std::atomic<bool>>& cancelled() const { return cancelled_; }

 private:
  double MsSinceStart() const;
  void Log(const std::string& end) const;
  void StartStream();
  void Break(const ApiError& error);

  std::string what_;
  std::shared_ptr<HttpReply> reply_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::shared_ptr<std::atomic<bool>> cancelled_ = std::make_shared<std::atomic<bool>>(false);
  std::unique_ptr<Answer> answer_;
  bool stream_ = false, started_ = false;
  double first_ms_ = 0;  // when the first update came
};

}  // namespace ecld
