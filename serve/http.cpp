#include "serve/http.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <unordered_map>

// Boost.Asio 1.74 uses std::exchange without including <utility>, so Boost comes last.
#include <boost/asio.hpp>

#include "core/error.h"
#include "core/log.h"
#include "serve/http_connection.h"

namespace ecld {

namespace net = boost::asio;
using net::ip::tcp;

// Connections are made, used and dropped on thread_, which ends when none is left.
class HttpServer::Impl final : public HttpConnectionOwner {
 public:
  explicit Impl(const HttpOptions& options) : options_(options), acceptor_(io_), retry_(io_) { Listen(); }

  void Start(Handler handler) {
    handler_ = std::move(handler);
    net::post(io_, [this] { Accept(); });
    thread_ = std::thread([this] { io_.run(); });
  }

  void Stop() {
    workers_.stop();
    workers_.join();
    if (!thread_.joinable()) return;
    CloseWhere([](HttpConnection&) { return true; });
    thread_.join();
  }

  void Close() {
    CloseWhere([](HttpConnection& connection) { return connection.idle(); });
  }

  bool AwaitIdle(double seconds) {
    std::unique_lock lock(mutex_);
    return idle_.wait_for(lock, std::chrono::duration<double>(seconds), [this] { return open_ == 0; });
  }

  const tcp::endpoint& endpoint() const { return endpoint_; }

  const HttpOptions& options() const override { return options_; }
  bool closing() const override { return closing_ || full(); }
  void Handle(HttpRequest request, std::shared_ptr<HttpReply> reply) override {
    net::post(workers_, [this, request = std::move(request), reply = std::move(reply)] { handler_(request, reply); });
  }
  void Closed(HttpConnection* connection) override {
    connections_.erase(connection);
    Count();
    if (waits_for_room_) Accept();
  }

 private:
  bool full() const { return connections_.size() >= static_cast<size_t>(options_.max_connections); }

  void Listen() {
    boost::system::error_code error;
    const auto check = [&] {
      if (error) Fail(options_.host + ":" + std::to_string(options_.port), "cannot listen: {}", error.message());
    };
    const net::ip::address address = net::ip::make_address(options_.host, error);
    if (error) Fail("--host", "\"{}\" is not an address, expected one like 127.0.0.1 or ::1", options_.host);
    if (options_.port < 0 || options_.port > 65535) Fail("--port", "is {}, must be 0 to 65535", options_.port);
    const tcp::endpoint wanted(address, static_cast<uint16_t>(options_.port));
    acceptor_.open(wanted.protocol(), error);
    check();
    acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    acceptor_.bind(wanted, error);
    check();
    acceptor_.listen(net::socket_base::max_listen_connections, error);
    check();
    endpoint_ = acceptor_.local_endpoint();
  }

  void Accept() {
    waits_for_room_ = !closing_ && full();
    if (closing_ || waits_for_room_) return;
    acceptor_.async_accept([this](boost::system::error_code error, tcp::socket socket) {
      if (closing_) return;
      if (error) {  // no file descriptors left, as a rule: some will be closed
        LogWarning("cannot accept a connection: {}", error.message());
        retry_.expires_after(std::chrono::milliseconds(100));
        retry_.async_wait([this](boost::system::error_code cancelled) {
          if (!cancelled) Accept();
        });
        return;
      }
      auto connection = std::make_shared<HttpConnection>(std::move(socket), *this);
      connections_.emplace(connection.get(), connection);
      Count();
      connection->Start();
      Accept();
    });
  }

  // No new connections, and none of those that condition names.
  template <class Condition>
  void CloseWhere(const Condition& condition) {
    net::post(io_, [this, condition] {
      closing_ = true;
      boost::system::error_code ignored;
      acceptor_.close(ignored);
      retry_.cancel();
      for (auto next = connections_.begin(); next != connections_.end();) {
        const std::shared_ptr<HttpConnection> connection = (next++)->second;  // Drop removes it
        if (condition(*connection)) connection->Drop();
      }
    });
  }

  void Count() {
    std::lock_guard lock(mutex_);
    open_ = connections_.size();
    idle_.notify_all();
  }

  HttpOptions options_;
  Handler handler_;
  net::io_context io_{1};
  tcp::acceptor acceptor_;
  tcp::endpoint endpoint_;
  net::steady_timer retry_;
  std::unordered_map<HttpConnection*, std::shared_ptr<HttpConnection>> connections_;
  bool closing_ = false, waits_for_room_ = false;

  std::mutex mutex_;
  std::condition_variable idle_;
  size_t open_ = 0;
  net::thread_pool workers_{2};
  std::thread thread_;
};

HttpServer::HttpServer(const HttpOptions& options) : impl_(std::make_unique<Impl>(options)) {}

HttpServer::~HttpServer() { impl_->Stop(); }

void HttpServer::Start(Handler handler) { impl_->Start(std::move(handler)); }
void HttpServer::Stop() { impl_->Stop(); }

int HttpServer::port() const { return impl_->endpoint().port(); }
bool HttpServer::loopback() const { return impl_->endpoint().address().is_loopback(); }
void HttpServer::Close() { impl_->Close(); }
bool HttpServer::AwaitIdle(double seconds) { return impl_->AwaitIdle(seconds); }

}  // namespace ecld
