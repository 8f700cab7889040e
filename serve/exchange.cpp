#include "serve/exchange.h"

#include <fmt/format.h>

#include <utility>

#include "core/log.h"

namespace ecld {
namespace {

std::string Dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace

ApiError ShuttingDown() {
  return {"the server is shutting down", {.status = 503, .type = "server_error", .code = "shutting_down"}};
}

HttpResponse ErrorResponse(const std::string& message, const ApiError::Detail& detail) {
  HttpResponse response{.status = detail.status, .body = Dump(ErrorJson(message, detail))};
  if (detail.retry_after_s > 0) response.headers.emplace_back("Retry-After", std::to_string(detail.retry_after_s));
  if (!detail.allow.empty()) response.headers.emplace_back("Allow", detail.allow);
  if (detail.status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
  return response;
}

Exchange::Exchange(const HttpRequest& request, std::shared_ptr<HttpReply> reply)
    : what_(fmt::format("{} {:.20} {:.80}", request.client, request.method, request.path)), reply_(std::move(reply)) {}

double Exchange::MsSinceStart() const {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start_).count();
}

void Exchange::Log(const std::string& end) const { LogInfo("{} {}, {:.0f} ms", what_, end, MsSinceStart()); }

void Exchange::Send(const Json& body) {
  reply_->Send({.body = Dump(body)});
  Log("200");
}

void Exchange::SendMethods(const std::string& allowed) {
  reply_->Send({.status = 204, .headers = {{"Allow", allowed}}});
  Log("204");
}

void Exchange::Refuse(const std::string& message, const ApiError::Detail& detail) {
  reply_->Send(ErrorResponse(message, detail));
  Log(fmt::format("{} {}", detail.status, detail.code ? *detail.code : detail.param ? *detail.param : detail.type));
}

void Exchange::Begin(const std::shared_ptr<Exchange>& exchange, std::unique_ptr<Answer> answer, bool stream) {
  exchange->answer_ = std::move(answer);
  exchange->stream_ = stream;
  exchange->reply_->OnGone([exchange] {
    if (!exchange->cancelled_->exchange(true)) exchange->Log("the client left");
  });
}

void Exchange::Take(size_t choice, SequenceUpdate update) {
  if (first_ms_ == 0) first_ms_ = MsSinceStart();
  if (update.finish == Finish::kShutdown) return Break(ShuttingDown());
  if (update.finish == Finish::kFailed)
    return Break({"the model failed: " + update.error, {.status = 500, .type = "server_error"}});
  const std::string events = answer_->Add(choice, std::move(update));
  if (stream_) {
    StartStream();
    reply_->Write(events);
  }
  if (!answer_->complete()) return;
  if (stream_) {
    reply_->Write(answer_->LastEvents());
    reply_->End();
  } else {
    reply_->Send({.body = Dump(answer_->Whole())});
  }
  Log(fmt::format("200 {}, {} + {} tokens, first after {:.0f} ms", answer_->FinishNames(), answer_->prompt_tok(),
                  answer_->answer_tok(), first_ms_));
}

void Exchange::StartStream() {
  if (!std::exchange(started_, true)) reply_->StartStream("text/event-stream");
}

// Ends all choices with an error, in the status line where that has not gone out yet.
void Exchange::Break(const ApiError& error) {
  cancelled_->store(true);
  if (!started_) return Refuse(error.what(), error.detail());
  reply_->Write(Answer::ErrorEvent(error.what(), error.detail()));
  reply_->End();
  Log(fmt::format("200, then {}", error.what()));
}

}  // namespace ecld
