#include "serve/http_connection.h"

#include <fmt/format.h>

#include <algorithm>
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
  ReadHeader();
}

// Before a request, where some clients send them behind the last one, they are no part of it (RFC 9112, 2.2).
void HttpConnection::DropEmptyLines() {
  const std::string_view bytes(static_cast<const char*>(buffer_.data().data()), buffer_.size());
  buffer_.consume(std::min(bytes.find_first_not_of("\r\n"), bytes.size()));
}

void HttpConnection::ReadHeader() {
  DropEmptyLines();
  if (buffer_.size() == 0) {
    socket_.async_read_some(buffer_.prepare(kReadB), [self = shared_from_this()](ErrorCode error, size_t count) {
      if (self->closed_) return;
      if (error) return self->Drop();
      self->buffer_.commit(count);
      self->ReadHeader();
    });
    return;
  }
  http::async_read_header(socket_, buffer_, *parser_,
                          [self = shared_from_this()](ErrorCode error, size_t) { self->OnHeader(error); });
}

std::string HttpConnection::Header(http::field name) const { return parser_->get()[name].to_string(); }

// What the header says may be wrong, or the client waits for a word before it sends the body.
void HttpConnection::OnHeader(ErrorCode error) {
  if (closed_) return;
  if (error) return RefuseUnread(error);
  if (const std::string coding = Header(http::field::content_encoding); !coding.empty() && coding != "identity")
    return RefuseBody(415, fmt::format("the body has Content-Encoding {:.40}, expected one without", coding));
  if (const std::string coding = Header(http::field::transfer_encoding);
      !coding.empty() && !beast::iequals(coding, "chunked"))
    return RefuseBody(501, fmt::format("the body has Transfer-Encoding {:.40}, expected chunked or none", coding));
  const std::string expected = Header(http::field::expect);
  if (expected.empty() || parser_->is_done() || buffer_.size() > 0) return ReadBody();
  if (!beast::iequals(expected, "100-continue"))
    return RefuseBody(417, fmt::format("the header Expect is \"{:.40}\", expected 100-continue", expected));
  static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  net::async_write(socket_, net::buffer(kContinue), [self = shared_from_this()](ErrorCode failed, size_t) {
    if (self->closed_) return;
    if (failed) return self->Drop();
    self->ReadBody();
  });
}

void HttpConnection::ReadBody() {
  if (parser_->is_done()) return OnRequest({});
  http::async_read(socket_, buffer_, *parser_,
                   [self = shared_from_this()](ErrorCode error, size_t) { self->OnRequest(error); });
}

void HttpConnection::OnRequest(ErrorCode error) {
  if (closed_) return;
  if (error) return RefuseUnread(error);
  ClearDeadline();
  const auto& message = parser_->get();
  HttpRequest request{.method = message.method_string().to_string(),
                      .path = PathOfTarget({message.target().data(), message.target().size()}),
                      .client = client_,
                      .authorization = Header(http::field::authorization),
                      .body = std::move(parser_->get().body())};
  BeginAnswer(message.keep_alive());
  chunked_ = message.version() >= 11;
  head_ = message.method() == http::verb::head;
  DropEmptyLines();
  if (buffer_.size() == 0) Watch();
  const bool preflight =
      message.method() == http::verb::options && message.count(http::field::access_control_request_method) > 0;
  if (preflight && !owner_.options().cors_origins.empty()) return SendPreflight();
  owner_.Handle(std::move(request), std::make_shared<Reply>(shared_from_this(), request_));
}

void HttpConnection::BeginAnswer(bool keep_alive) {
  ++request_;
  answering_ = true;
  ended_ = streaming_ = head_ = false;
  keep_alive_ = keep_alive;
}

// Says what is wrong with a request that cannot be read, and closes.
void HttpConnection::RefuseUnread(ErrorCode error) {
  const bool is_http = error.category() == http::make_error_code(http::error::end_of_stream).category();
  if (!is_http || error == http::error::end_of_stream || error == http::error::partial_message) return Drop();
  if (error == http::error::body_limit)
    return RefuseBody(413, fmt::format("the body is longer than {} bytes", owner_.options().max_body_B));
  if (error == http::error::header_limit)
    return RefuseBody(431, fmt::format("the header is longer than {} bytes", kMaxHeaderB));
  RefuseBody(400, "not an HTTP request: " + error.message());
}

// Of a request whose body is not read: what follows on the connection is no request.
void HttpConnection::RefuseBody(int status, const std::string& message) {
  ClearDeadline();
  BeginAnswer(false);
  Refuse(request_, status, message);
}

void HttpConnection::SendPreflight() {
  Send(request_, {.status = 204, .headers = PreflightHeaders(Header(http::field::access_control_request_headers))});
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

// The headers that every answer has.
template <class Message>
void HttpConnection::SetCommon(Message* message) const {
  message->set(http::field::server, fmt::format("ecld/{}", kProgramVersion));
  message->keep_alive(keep_alive_);
  if (keep_alive_ && !chunked_) message->set(http::field::connection, "keep-alive");  // HTTP/1.0 must be told
  for (const auto& [name, value] : CorsHeaders(owner_.options().cors_origins, Header(http::field::origin)))
    message->set(name, value);
}

void HttpConnection::Send(uint64_t request, HttpResponse response) {
  if (!current(request)) return;
  http::response<http::string_body> message{static_cast<http::status>(response.status), 11};
  keep_alive_ = keep_alive_ && !owner_.closing();
  SetCommon(&message);
  for (const auto& [name, value] : response.headers) message.set(name, value);
  message.body() = std::move(response.body);
  if (message.result() != http::status::no_content) {
    message.set(http::field::content_type, response.content_type);
    message.prepare_payload();
  }
  Queue(head_ ? Text(message.base()) : Text(message));
  End(request);
}

void HttpConnection::StartStream(uint64_t request, const std::string& content_type) {
  if (!current(request)) return;
  streaming_ = true;
  http::response<http::empty_body> message{http::status::ok, 11};
  keep_alive_ = keep_alive_ && chunked_ && !owner_.closing();
  SetCommon(&message);
  message.set(http::field::content_type, content_type);
  message.set(http::field::cache_control, "no-cache");
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
