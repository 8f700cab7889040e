#pragma once
// One connection of the HTTP server (http.h): reads a request, hands it on, writes what the reply says, and starts
// again. All of it runs on the server's one thread; HttpReply objects post to it.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

// Boost.Asio 1.74 uses std::exchange without including <utility>, so Boost comes last.
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include "serve/http.h"

namespace ecld {

class HttpConnection;

// What a connection needs of its server; outlives the connection.
class HttpConnectionOwner {
 public:
  virtual const HttpOptions& options() const = 0;
  virtual bool closing() const = 0;  // no further request on a connection
  virtual void Handle(HttpRequest request, std::shared_ptr<HttpReply> reply) = 0;
  virtual void Closed(HttpConnection* connection) = 0;  // once for each connection

 protected:
  ~HttpConnectionOwner() = default;
};

class HttpConnection : public std::enable_shared_from_this<HttpConnection> {
 public:
  using ErrorCode = boost::system::error_code;

  HttpConnection(boost::asio::ip::tcp::socket socket, HttpConnectionOwner& owner);

  void Start() { ReadRequest(); }
  bool idle() const { return !answering_ && !lingering_; }  // waits for a request
  void Drop();                                              // closes at once

  // The answer to request number `request`; ignored when that one is over.
  void Send(uint64_t request, HttpResponse response);
  void StartStream(uint64_t request, const std::string& content_type);
  void Write(uint64_t request, const std::string& part);
  void End(uint64_t request);
  void OnGone(uint64_t request, std::function<void()> gone);
  void Refuse(uint64_t request, int status, const std::string& message);
  boost::asio::any_io_executor executor() { return socket_.get_executor(); }

 private:
  void ReadRequest();
  void DropEmptyLines();
  void ReadHeader();
  void OnHeader(ErrorCode error);
  void ReadBody();
  void OnRequest(ErrorCode error);
  void RefuseBody(int status, const std::string& message);
  void SendPreflight();
  template <class Message>
  void SetCommon(Message* message) const;
  std::string Header(boost::beast::http::field name) const;
  void BeginAnswer(bool keep_alive);
  void RefuseUnread(ErrorCode error);
  void Watch();
  bool current(uint64_t request) const { return !closed_ && answering_ && !ended_ && request == request_; }
  void Queue(std::string_view bytes);
  void WriteQueued();
  void AnswerEnds();
  void CloseGently();
  void Discard();
  void SetDeadline(int64_t seconds);
  void ClearDeadline();

  boost::asio::ip::tcp::socket socket_;
  HttpConnectionOwner& owner_;
  boost::asio::steady_timer deadline_;
  uint64_t deadline_number_ = 0;      // of the last one set or cleared: an older one that fires late means nothing
  boost::beast::flat_buffer buffer_;  // received, not yet taken
  std::optional<boost::beast::http::request_parser<boost::beast::http::string_body>> parser_;
  std::string client_;

  uint64_t request_ = 0;    // number of the current one
  bool answering_ = false;  // a request was read, its answer is not complete
  bool head_ = false;       // without a body
  bool keep_alive_ = false, streaming_ = false, chunked_ = false, ended_ = false, lingering_ = false, closed_ = false;
  bool watching_ = false, read_next_ = false;
  std::function<void()> gone_;
  std::string queued_, in_flight_;  // of the answer
  bool writing_ = false;
  std::string discarded_;
};

}  // namespace ecld
