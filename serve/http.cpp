#include "serve/http.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <list>
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
  explicit Impl(const HttpOptions& options) : options_(options) { Listen(); }

  void Start(Handler handler) {
    handler_ = std::move(handler);
    net::post(io_, [this] {
      for (Listener& listener : listeners_) Accept(listener);
    });
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

  int port() const { return port_; }
  bool loopback() const { return loopback_; }

  const HttpOptions& options() const override { return options_; }
  bool closing() const override { return closing_ || full(); }
  void Handle(HttpRequest request, std::shared_ptr<HttpReply> reply) override {
    net::post(workers_, [this, request = std::move(request), reply = std::move(reply)] { handler_(request, reply); });
  }
  void Closed(HttpConnection* connection) override {
    connections_.erase(connection);
    Count();
    for (Listener& listener : listeners_)
      if (listener.waits_for_room) Accept(listener);
  }

 private:
  struct Listener {
    tcp::acceptor acceptor;
    net::steady_timer retry;
    bool waits_for_room = false;
  };

  bool full() const { return connections_.size() >= static_cast<size_t>(options_.max_connections); }

  void Listen() {
    for (const std::string& origin : options_.cors_origins)
      if (!IsOrigin(origin))
        Fail("--cors-origin", "\"{}\" is not an origin, expected * or one like http://localhost:3000", origin);
    const std::vector<net::ip::address> addresses = Addresses();
    if (options_.port < 0 || options_.port > 65535) Fail("--port", "is {}, must be 0 to 65535", options_.port);
    // A port that is free on one address may be taken on the next.
    boost::system::error_code error;
    for (int tries = options_.port == 0 ? 10 : 1; tries > 0 && listeners_.empty(); --tries) error = ListenOn(addresses);
    if (listeners_.empty())
      Fail(options_.host + ":" + std::to_string(options_.port), "cannot listen: {}", error.message());
  }

  // The addresses that the host is or is called by, each once.
  std::vector<net::ip::address> Addresses() {
    boost::system::error_code error;
    const net::ip::address address = net::ip::make_address(options_.host, error);
    if (!error) return {address};
    std::vector<net::ip::address> addresses;
    // Without flags: a name like localhost has addresses also where there is no network.
    for (const auto& entry : tcp::resolver(io_).resolve(options_.host, "", tcp::resolver::flags(), error))
      if (std::ranges::find(addresses, entry.endpoint().address()) == addresses.end())
        addresses.push_back(entry.endpoint().address());
    if (addresses.empty())
      Fail("--host",
           "\"{}\" is not an address, and no name that is known here ({}); expected one like 127.0.0.1, ::1 or "
           "localhost",
           options_.host, error.message());
    return addresses;
  }

  // On all, with the same port. A family of addresses that this machine has not is left out where there is another.
  // Returns an error, and listens nowhere, when any other fails.
  boost::system::error_code ListenOn(const std::vector<net::ip::address>& addresses) {
    boost::system::error_code error;
    for (const net::ip::address& address : addresses) {
      const int port = listeners_.empty() ? options_.port : port_;
      listeners_.push_back({tcp::acceptor(io_), net::steady_timer(io_)});
      error = Open({address, static_cast<uint16_t>(port)}, addresses.size() > 1, &listeners_.back().acceptor);
      if (!error) {
        port_ = listeners_.back().acceptor.local_endpoint().port();
        loopback_ = loopback_ && address.is_loopback();
        continue;
      }
      listeners_.pop_back();
      const bool absent =
          error == net::error::address_family_not_supported || error == boost::system::errc::address_not_available;
      if (absent && addresses.size() > 1) {
        LogInfo("{} is also {}, which this machine has not: {}", options_.host, address.to_string(), error.message());
        continue;
      }
      listeners_.clear();
      break;
    }
    return error;
  }

  static boost::system::error_code Open(const tcp::endpoint& wanted, bool one_family, tcp::acceptor* acceptor) {
    boost::system::error_code error;
    acceptor->open(wanted.protocol(), error);
    if (error) return error;
    acceptor->set_option(tcp::acceptor::reuse_address(true), error);
    if (one_family && wanted.protocol() == tcp::v6()) acceptor->set_option(net::ip::v6_only(true), error);
    acceptor->bind(wanted, error);
    if (error) return error;
    acceptor->listen(net::socket_base::max_listen_connections, error);
    return error;
  }

  void Accept(Listener& listener) {
    listener.waits_for_room = !closing_ && full();
    if (closing_ || listener.waits_for_room) return;
    listener.acceptor.async_accept([this, &listener](boost::system::error_code error, tcp::socket socket) {
      if (closing_) return;
      if (error) {  // no file descriptors left, as a rule: some will be closed
        LogWarning("cannot accept a connection: {}", error.message());
        listener.retry.expires_after(std::chrono::milliseconds(100));
        listener.retry.async_wait([this, &listener](boost::system::error_code cancelled) {
          if (!cancelled) Accept(listener);
        });
        return;
      }
      auto connection = std::make_shared<HttpConnection>(std::move(socket), *this);
      connections_.emplace(connection.get(), connection);
      Count();
      connection->Start();
      Accept(listener);
    });
  }

  // No new connections, and none of those that condition names.
  template <class Condition>
  void CloseWhere(const Condition& condition) {
    net::post(io_, [this, condition] {
      closing_ = true;
      for (Listener& listener : listeners_) {
        boost::system::error_code ignored;
        listener.acceptor.close(ignored);
        listener.retry.cancel();
      }
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
  std::list<Listener> listeners_;
  int port_ = 0;
  bool loopback_ = true;
  std::unordered_map<HttpConnection*, std::shared_ptr<HttpConnection>> connections_;
  bool closing_ = false;

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

int HttpServer::port() const { return impl_->port(); }
bool HttpServer::loopback() const { return impl_->loopback(); }
void HttpServer::Close() { impl_->Close(); }
bool HttpServer::AwaitIdle(double seconds) { return impl_->AwaitIdle(seconds); }

}  // namespace ecld
