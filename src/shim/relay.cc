#include "shim/relay.h"

#include <array>
#include <sys/socket.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "base/log.h"

namespace terrane::shim {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using Socket = asio::generic::stream_protocol::socket;

constexpr int most_connections = 64;
constexpr auto idle_limit = 5min;
constexpr auto connect_limit = 10s;

/// A connection from inside and its other side. Closing both ends every operation on them.
struct Link {
  Link(Socket from, net::Executor executor) : inner(std::move(from)), outer(executor) {}
  Socket inner, outer;
  net::Clock::time_point active = net::Clock::now();
  int running = 0;
  void close() {
    boost::system::error_code none;
    inner.close(none);
    outer.close(none);
  }
};

struct Relay {
  Platform platform;
  int connections = 0;
};

Task<> copy(std::shared_ptr<Link> link, Socket& from, Socket& to) {
  std::array<char, 16 * 1024> buffer;
  boost::system::error_code failure;
  while (!failure) {
    std::size_t got = co_await from.async_read_some(asio::buffer(buffer),
                                                    asio::redirect_error(asio::use_awaitable, failure));
    link->active = net::Clock::now();
    if (failure == asio::error::eof) {
      boost::system::error_code none;
      to.shutdown(asio::socket_base::shutdown_send, none);
      break;
    }
    if (!failure)
      co_await asio::async_write(to, asio::buffer(buffer.data(), got),
                                 asio::redirect_error(asio::use_awaitable, failure));
  }
  if (failure && failure != asio::error::eof) link->close();
  --link->running;
}

Task<> connect(Socket& socket, const Platform& platform) {
  net::Executor executor = co_await asio::this_coro::executor;
  if (!platform.unix_path.empty()) {
    asio::local::stream_protocol::endpoint endpoint(platform.unix_path.string());
    socket.open(endpoint.protocol());
    co_await socket.async_connect(endpoint, asio::use_awaitable);
    co_return;
  }
  asio::ip::tcp::resolver resolver(executor);
  auto found =
      co_await resolver.async_resolve(platform.host, std::to_string(platform.port), asio::use_awaitable);
  asio::ip::tcp::socket chosen(executor);
  co_await asio::async_connect(chosen, found, asio::use_awaitable);
  chosen.set_option(asio::ip::tcp::no_delay(true));
  socket = Socket(std::move(chosen));
}

Task<> serve(std::shared_ptr<Relay> relay, std::shared_ptr<Link> link) {
  struct Count {
    std::shared_ptr<Relay> relay;
    ~Count() { --relay->connections; }
  } count{relay};
  try {
    co_await net::with_deadline(connect_limit, "The platform", connect(link->outer, relay->platform));
  } catch (const std::exception& failure) {
    log::debug("the relay does not reach the platform", {{"error", failure.what()}});
    link->close();
    co_return;
  }
  net::Executor executor = co_await asio::this_coro::executor;
  link->running = 2;
  net::spawn(executor, "relay", copy(link, link->inner, link->outer));
  net::spawn(executor, "relay", copy(link, link->outer, link->inner));
  while (link->running > 0) {
    co_await net::sleep_for(1s);
    if (net::Clock::now() - link->active > idle_limit) link->close();
  }
  link->close();
}

Task<> accept(std::shared_ptr<Relay> relay, int listener) {
  net::Executor executor = co_await asio::this_coro::executor;
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  bool six = ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) == 0 &&
             address.ss_family == AF_INET6;
  asio::ip::tcp::acceptor acceptor(executor, six ? asio::ip::tcp::v6() : asio::ip::tcp::v4(), listener);
  while (true) {
    boost::system::error_code failure;
    asio::ip::tcp::socket inner =
        co_await acceptor.async_accept(asio::redirect_error(asio::use_awaitable, failure));
    if (failure) {
      co_await net::sleep_for(100ms);  // no descriptors, or a connection that was gone at once
      continue;
    }
    if (relay->connections >= most_connections) continue;
    ++relay->connections;
    boost::system::error_code none;
    inner.set_option(asio::ip::tcp::no_delay(true), none);
    net::spawn(executor, "relay", serve(relay, std::make_shared<Link>(Socket(std::move(inner)), executor)));
  }
}

}  // namespace

void start_relay(net::Executor executor, const std::vector<int>& listeners, Platform platform) {
  auto relay = std::make_shared<Relay>();
  relay->platform = std::move(platform);
  for (int listener : listeners) net::spawn(executor, "relay", accept(relay, listener));
}

}  // namespace terrane::shim
