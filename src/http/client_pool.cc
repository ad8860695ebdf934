#include "http/client_pool.h"

#include <cstring>
#include <netinet/in.h>
#include <sys/un.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/error.h"

namespace terrane::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using net::Clock;

constexpr std::size_t buffer_size = 32 * 1024;
// A fresh connection from time to time brings a fresh TLS session; sessions live for two hours.
constexpr auto most_age = std::chrono::hours(1);

std::string host_field_of(const Endpoint& endpoint) {
  bool literal = endpoint.host.find(':') != std::string::npos;
  std::string host = literal ? "[" + endpoint.host + "]" : endpoint.host;
  bool usual =
      endpoint.port == 0 || !endpoint.unix_path.empty() || endpoint.port == (endpoint.tls ? 443 : 80);
  return usual ? host : host + ":" + std::to_string(endpoint.port);
}

/// The answer of the resolver, shared with it: a look-up cannot be interrupted, only left behind.
struct Lookup {
  explicit Lookup(net::Executor executor) : resolver(executor), done(executor) {}
  tcp::resolver resolver;
  net::Event done;
  bool finished = false;
  boost::system::error_code failure;
  tcp::resolver::results_type results;
};

Task<std::vector<tcp::endpoint>> resolve(const std::string& host, std::uint16_t port,
                                         Clock::time_point until) {
  boost::system::error_code no_literal;
  asio::ip::address literal = asio::ip::make_address(host, no_literal);
  if (!no_literal) co_return std::vector<tcp::endpoint>{tcp::endpoint(literal, port)};
  auto lookup = std::make_shared<Lookup>(co_await asio::this_coro::executor);
  lookup->resolver.async_resolve(
      host, std::to_string(port),
      [lookup](boost::system::error_code failure, tcp::resolver::results_type results) {
        lookup->failure = failure;
        lookup->results = std::move(results);
        lookup->finished = true;
        lookup->done.notify();
      });
  if (!lookup->finished) co_await lookup->done.wait_for(until - Clock::now());
  if (!lookup->finished) throw boost::system::system_error(asio::error::timed_out);
  if (lookup->failure) throw boost::system::system_error(lookup->failure);
  std::vector<tcp::endpoint> endpoints;
  for (const auto& result : lookup->results) endpoints.push_back(result.endpoint());
  co_return endpoints;
}

}  // namespace

/// A request that waits for its turn. A place is handed to it directly, so nobody overtakes it.
struct ClientPool::Waiter {
  Waiter(ClientPool& owner, Clock::duration limit) : pool(owner), timer(owner.executor, limit) {
    pool.waiters_.push_back(this);
  }
  ~Waiter() {
    if (granted) {
      pool.free_place();
    } else {
      std::erase(pool.waiters_, this);
    }
  }
  ClientPool& pool;
  asio::steady_timer timer;
  bool granted = false;
};

Lease& Lease::operator=(Lease&& other) noexcept {
  std::swap(pool_, other.pool_);
  std::swap(connection_, other.connection_);
  return *this;
}

Lease::~Lease() {
  connection_.reset();
  if (pool_) pool_->free_place();
}

bool Lease::take_kept() {
  while (!pool_->kept_.empty()) {
    connection_ = std::move(pool_->kept_.back());
    pool_->kept_.pop_back();
    if (connection_->stream().quiet()) return true;
    connection_.reset();
  }
  return false;
}

Task<> Lease::connect() {
  connection_.reset();
  connection_ = co_await pool_->open_connection();
}

void Lease::keep() {
  connection_->deadline().clear();
  const bool young = Clock::now() - connection_->made < most_age;
  if (!pool_->shut_ && young && connection_->buffered().empty())
    pool_->kept_.push_back(std::move(connection_));
  connection_.reset();
}

ClientPool::ClientPool(net::Executor executor_, Endpoint endpoint_, ClientOptions options_)
    : executor(std::move(executor_)),
      endpoint(std::move(endpoint_)),
      options(options_),
      host_field(host_field_of(endpoint)),
      deadlines_(std::make_shared<Deadlines>(executor)),
      tls_(endpoint.tls ? make_tls_client(endpoint) : nullptr) {}

std::string ClientPool::tls_session() const { return tls_ ? newest_session(*tls_) : std::string(); }

Error ClientPool::failure(std::string_view what) const {
  std::string name = endpoint.unix_path.empty() ? endpoint.host + " port " + std::to_string(endpoint.port)
                                                : endpoint.unix_path.string();
  return Error(Code::unavailable, name + ": " + std::string(what));
}

void ClientPool::shut() {
  shut_ = true;
  drop_kept();
}

void ClientPool::drop_kept() { kept_.clear(); }

void ClientPool::free_place() {
  deadlines_->rest();
  if (waiters_.empty()) {
    --in_use_;
  } else {
    Waiter* next = waiters_.front();
    waiters_.pop_front();
    next->granted = true;
    next->timer.cancel();
  }
}

Task<Lease> ClientPool::acquire(Clock::duration limit) {
  std::shared_ptr<ClientPool> self = shared_from_this();
  if (in_use_ < std::max<std::size_t>(options.connections, 1)) {
    ++in_use_;
    co_return Lease(self);
  }
  Waiter waiter(*this, limit);
  boost::system::error_code ended;
  co_await waiter.timer.async_wait(asio::redirect_error(asio::use_awaitable, ended));
  if (!std::exchange(waiter.granted, false)) throw failure("all connections are in use.");
  co_return Lease(self);
}

Task<std::unique_ptr<Connection>> ClientPool::open_connection() {
  std::shared_ptr<ClientPool> self = shared_from_this();
  Clock::time_point until = Clock::now() + options.connect_time;
  std::unique_ptr<Connection> connection;
  try {
    int fd = co_await open_socket(until);
    auto stream = tls_ ? make_tls_stream(executor, fd, tls_) : make_plain_stream(executor, fd);
    connection = std::make_unique<Connection>(deadlines_, std::move(stream), buffer_size);
    connection->deadline().set(until - Clock::now());
    co_await connection->stream().handshake();
    connection->deadline().clear();
  } catch (const boost::system::system_error& error) {
    bool late = (connection && connection->deadline().expired()) || Clock::now() >= until;
    if (!late && error.code() == asio::error::operation_aborted) throw;
    throw failure(late ? "no connection in time." : "cannot connect: " + error.code().message() + ".");
  } catch (const Error& error) {
    throw failure(error.detail());
  }
  co_return connection;
}

Task<int> ClientPool::open_socket(Clock::time_point until) {
  if (!endpoint.unix_path.empty()) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    if (endpoint.unix_path.string().size() >= sizeof address.sun_path)
      throw boost::system::system_error(asio::error::name_too_long);
    std::strcpy(address.sun_path, endpoint.unix_path.c_str());
    co_return co_await connect_socket(deadlines_, reinterpret_cast<sockaddr*>(&address), sizeof address,
                                      until);
  }
  std::vector<tcp::endpoint> endpoints = co_await resolve(endpoint.host, endpoint.port, until);
  std::exception_ptr last = std::make_exception_ptr(boost::system::system_error(asio::error::host_not_found));
  for (const tcp::endpoint& one : endpoints) {
    try {
      co_return co_await connect_socket(deadlines_, one.data(), static_cast<socklen_t>(one.size()), until);
    } catch (const boost::system::system_error& error) {
      if (error.code() == asio::error::operation_aborted) throw;
      last = std::current_exception();
    }
    if (Clock::now() >= until) break;
  }
  std::rethrow_exception(last);
}

}  // namespace terrane::http
