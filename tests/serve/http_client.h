#pragma once
// An HTTP client for tests that speaks to a real socket of this machine.

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <string>
#include <utility>
#include <vector>

// Boost.Asio 1.74 uses std::exchange without including <utility>, so Boost comes last.
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include "core/json.h"

namespace ecld {

struct HttpAnswer {
  int status = 0;  // 0: the server closed the connection without an answer
  std::string body;
  std::string content_type, retry_after;
  boost::beast::http::fields headers;
  std::string Header(const std::string& name) const { return headers[name].to_string(); }
  Json json() const { return Json::parse(body, nullptr, false); }
  // The data of each server-sent event.
  std::vector<std::string> Events() const {
    std::vector<std::string> events;
    for (size_t at = 0, end = 0; (end = body.find("\n\n", at)) != std::string::npos; at = end + 2)
      events.push_back(body.substr(at + 6, end - at - 6));  // after "data: "
    return events;
  }
};

// One connection to 127.0.0.1; nothing waits longer than 20 s.
class HttpClient {
 public:
  explicit HttpClient(int port) : socket_(io_) {
    using boost::asio::ip::tcp;
    socket_.connect(tcp::endpoint(boost::asio::ip::address_v4::loopback(), static_cast<uint16_t>(port)));
    const timeval limit = {20, 0};
    ::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    ::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  }

  void Send(const std::string& bytes) {
    boost::system::error_code ignored;  // the server may close while this is being sent
    boost::asio::write(socket_, boost::asio::buffer(bytes), ignored);
  }

  // no_body: the answer to HEAD.
  HttpAnswer Receive(bool no_body = false) {
    namespace http = boost::beast::http;
    http::response_parser<http::string_body> parser;
    parser.body_limit(100'000'000);
    parser.skip(no_body);
    boost::system::error_code error;
    http::read(socket_, buffer_, parser, error);
    if (error && !parser.is_done()) return {};
    const auto& message = parser.get();
    return {.status = static_cast<int>(message.result_int()),
            .body = message.body(),
            .content_type = message[http::field::content_type].to_string(),
            .retry_after = message[http::field::retry_after].to_string(),
            .headers = message.base()};
  }

  // Waits for the first bytes of an answer.
  void AwaitBytes() {
    char byte = 0;
    ASSERT_EQ(::recv(socket_.native_handle(), &byte, 1, MSG_PEEK), 1);
  }

  HttpAnswer Ask(const std::string& method, const std::string& path, const std::string& body = "",
                 const std::string& headers = "") {
    Send(method + " " + path + " HTTP/1.1\r\nHost: test\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
         headers + "\r\n" + body);
    return Receive(method == "HEAD");
  }
  HttpAnswer Post(const std::string& path, const Json& body) { return Ask("POST", path, body.dump()); }

  void Close() { socket_.close(); }

 private:
  boost::asio::io_context io_;
  boost::asio::ip::tcp::socket socket_;
  boost::beast::flat_buffer buffer_;
};

}  // namespace ecld
