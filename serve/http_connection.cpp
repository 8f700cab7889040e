#include "serve/http_connection.h"

#include <fmt/format.h>

#include <atomic>
#include <sstream>
#include <string_view>

#include <boost/asio.hpp>
#include <boost/beast/core/buffers_to_string.hpp>

#include "core/version.h"

namespace ecld {

namespace net = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using net::ip::tcp;

namespace {

constexpr uint32_t kMaxHeaderB = 16'000;
constexpr size_t kReadB = 4096;
constexpr int64_t kLingerS = 2;  // for a client to read the reason before its connection closes

// What a handler holds. The connection may end before it.
class Reply final : public HttpReply {
 public:
  Reply(const std::shared_ptr<HttpConnection>& connection, uint64_t request)
      : connection_(connection), request_(request) {}
  ~Reply() override {
    if (!answered_)
      Post([request = request_](HttpConnection& connection) {
        connection.Refuse(request, 500, "the server dropped the request");
      });
  }
  void Send(HttpResponse response) override {
    answered_ = true;
    Post([request = request_, response = std::move(response)](HttpConnection& connection) {
      connection.Send(request, response);
    });
  }
  void StartStream(std::string content_type) override {
    answered_ = true;
    Post([request = request_, content_type = std::move(content_type)](HttpConnection& connection) {
      connection.StartStream(request, content_type);
    });
  }
  void Write(std::string part) override {
    Post([request = request_, part = std::move(part)](HttpConnection& connection) { connection.Write(request, part); });
  }
  void End() override {
    Post([request = request_](HttpConnection& connection) { connection.End(request); });
  }
  void OnGone(std::function<void()> gone) override {
    const bool posted =
        Post([request = request_, gone](HttpConnection& connection) { connection.OnGone(request, gone); });
    if (!posted) gone();
  }

 private:
  template <class Function>
  bool Post(Function function) {
    const std::shared_ptr<HttpConnection> connection = connection_.lock();
    if (!connection) return false;
    net::post(connection->executor(), [connection, function = std::move(function)] { function(*connection); });
    return true;
  }

  std::weak_ptr<HttpConnection> connection_;
  uint64_t request_;
  std::atomic<bool> answered_{false};
};

template <class Fields>
std::string Text(const Fields& fields) {
  std::ostringstream stream;
  stream << fields;
  return stream.str();
}

std::string ClientName(const tcp::socket& socket) {
  HttpConnection::ErrorCode error;
  const tcp::endpoint endpoint = socket.remote_endpoint(error);
  return error ? "unknown" : fmt::format("{}:{}", endpoint.address().to_string(), endpoint.port());
}

}  // namespace

HttpConnection::HttpConnection(tcp::socket socket, HttpConnectionOwner& owner)
    : socket_(std::move(socket)), owner_(owner), deadline_(socket_.get_executor()), client_(ClientName(socket_)) {
  ErrorCode ignored;
  socket_.set_option(tcp::no_delay(true), ignored);  // tokens go out as they come
}

// Whatever does not happen in time ends the connection.
void HttpConnection::SetDeadline(int64_t seconds) {
  deadline_.expires_after(std::chrono::seconds(seconds));
  deadline_.async_wait([self = shared_from_this(), number = ++deadline_number_](ErrorCode cancelled) {
    if (!cancelled && number == self->deadline_number_) self->Drop();
  });
}

void HttpConnection::ClearDeadline() {
  ++deadline_number_;
  deadline_.cancel();
}

void HttpConnection::Drop() {
  if (std::exchange(closed_, true)) return;
  ErrorCode ignored;
  socket_.close(ignored);
  ClearDeadline();
  if (const auto gone = std::exchange(gone_, nullptr); gone && answering_) gone();
  answering_ = false;
  owner_.Closed(this);
}

void HttpConnection::ReadRequest() {
  parser_.emplace();
  parser_->header_limit(kMaxHeaderB);
  parser_->body_limit(owner_.options().max_body_B);
  SetDeadline(owner_.options().request_timeout_s);
  http::async_read(socket_, buffer_, *parser_,
                   [self = shared_from_this()](ErrorCode error, size_t) { self->OnRequest(error); });
}

void HttpConnection::OnRequest(ErrorCode error) {
  if (closed_) return;
  if (error) return RefuseUnread(error);
  ClearDeadline();
  const auto& message = parser_->get();
  const std::string_view target(message.target().data(), message.target().size());
  const auto authorization = message[http::field::authorization];
  HttpRequest request{.method = message.method_string().to_string(),
                      .path = std::string(target.substr(0, target.find('?'))),
                      .client = client_,
                      .authorization = authorization.to_string(),
                      .body = std::move(parser_->get().body())};
  BeginAnswer(message.keep_alive());
  chunked_ = message.version() >= 11;
  if (buffer_.size() == 0) Watch();
  owner_.Handle(std::move(request), std::make_shared<Reply>(shared_from_this(), request_));
}

void HttpConnection::BeginAnswer(bool keep_alive) {
  ++request_;
  answering_ = true;
  ended_ = streaming_ = false;
  keep_alive_ = keep_alive;
}

// Says what is wrong with a request that cannot be read, and closes.
void HttpConnection::RefuseUnread(ErrorCode error) {
  const bool is_http = error.category() == http::make_error_code(http::error::end_of_stream).category();
  if (!is_http || error == http::error::end_of_stream || error == http::error::partial_message) return Drop();
  BeginAnswer(false);
  if (error == http::error::body_limit)
    return Refuse(request_, 413, fmt::format("the body is longer than {} bytes", owner_.options().max_body_B));
  if (error == http::error::header_limit)
    return Refuse(request_, 431, fmt::format("the header is longer than {} bytes", kMaxHeaderB));
  Refuse(request_, 400, "not an HTTP request: " + error.message());
}

void HttpConnection::Refuse(uint64_t request, int status, const std::string& message) {
  Send(request, owner_.options().refusal(status, message));
}

// While an answer is made the client sends nothing, or the next request early, or leaves: only reading tells which. Not
// used where the next request has come already.
void HttpConnection::Watch() {
  watching_ = true;
  socket_.async_read_some(buffer_.prepare(kReadB), [self = shared_from_this()](ErrorCode error, size_t count) {
    self->watching_ = false;
    if (self->closed_ || error == net::error::operation_aborted) return;
    if (error) return self->Drop();
    self->buffer_.commit(count);
    if (std::exchange(self->read_next_, false)) self->ReadRequest();
  });
}

void HttpConnection::Send(uint64_t request, HttpResponse response) {
  if (!current(request)) return;
  http::response<http::string_body> message{static_cast<http::status>(response.status), 11};
  keep_alive_ = keep_alive_ && !owner_.closing();
  message.set(http::field::server, fmt::format("ecld/{}", kProgramVersion));
  message.set(http::field::content_type, response.content_type);
  for (const auto& [name, value] : response.headers) message.set(name, value);
  message.keep_alive(keep_alive_);
  message.body() = std::move(response.body);
  message.prepare_payload();
  Queue(Text(message));
  End(request);
}

void HttpConnection::StartStream(uint64_t request, const std::string& content_type) {
  if (!current(request)) return;
  streaming_ = true;
  http::response<http::empty_body> message{http::status::ok, 11};
  keep_alive_ = keep_alive_ && chunked_ && !owner_.closing();
  message.set(http::field::server, fmt::format("ecld/{}", kProgramVersion));
  message.set(http::field::content_type, content_type);
  message.set(http::field::cache_control, "no-cache");
  message.keep_alive(keep_alive_);
  message.chunked(chunked_);
  Queue(Text(message.base()));
}

void HttpConnection::Write(uint64_t request, const std::string& part) {
  if (!current(request) || part.empty()) return;
  Queue(chunked_ ? beast::buffers_to_string(http::make_chunk(net::buffer(part))) : part);
  if (queued_.size() > owner_.options().max_unsent_B) Drop();
}

void HttpConnection::End(uint64_t request) {
  if (!current(request)) return;
  ended_ = true;
  if (streaming_ && chunked_) Queue(beast::buffers_to_string(http::make_chunk_last()));
  if (!writing_) AnswerEnds();
}

void HttpConnection::OnGone(uint64_t request, std::function<void()> gone) {
  if (closed_ || request != request_) return gone();
  if (answering_) gone_ = std::move(gone);
}

void HttpConnection::Queue(std::string_view bytes) {
  queued_ += bytes;
  if (!writing_) WriteQueued();
}

void HttpConnection::WriteQueued() {
  writing_ = true;
  in_flight_ = std::exchange(queued_, {});
  SetDeadline(owner_.options().write_timeout_s);
  net::async_write(socket_, net::buffer(in_flight_), [self = shared_from_this()](ErrorCode error, size_t) {
    self->writing_ = false;
    if (self->closed_) return;
    if (error) return self->Drop();
    self->ClearDeadline();
    if (!self->queued_.empty()) return self->WriteQueued();
    if (self->ended_) self->AnswerEnds();
  });
}

void HttpConnection::AnswerEnds() {
  answering_ = false;
  gone_ = nullptr;
  if (!keep_alive_ || owner_.closing()) return CloseGently();
  if (!watching_) return ReadRequest();
  read_next_ = true;
  SetDeadline(owner_.options().request_timeout_s);
}

// Closing with unread bytes would make the kernel take back the answer: ends the sending side, and reads until the
// client has closed too.
void HttpConnection::CloseGently() {
  lingering_ = true;
  ErrorCode ignored;
  socket_.shutdown(tcp::socket::shutdown_send, ignored);
  socket_.cancel(ignored);  // Watch
  SetDeadline(kLingerS);
  Discard();
}

void HttpConnection::Discard() {
  discarded_.resize(64 * 1024);
  socket_.async_read_some(net::buffer(discarded_), [self = shared_from_this()](ErrorCode error, size_t) {
    if (self->closed_) return;
    if (error) return self->Drop();
    self->Discard();
  });
}

}  // namespace ecld
