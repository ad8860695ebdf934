#pragma once
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "http/client.h"
#include "http/connection.h"
#include "http/tls.h"

namespace terrane::http {

class ClientPool;

/// The right to use one connection of a pool, and the connection once there is one. Gives both back when it
/// is destroyed.
class Lease {
 public:
  Lease() = default;
  explicit Lease(std::shared_ptr<ClientPool> pool) : pool_(std::move(pool)) {}
  Lease(Lease&& other) noexcept = default;
  Lease& operator=(Lease&& other) noexcept;
  ~Lease();

  /// Takes a kept connection; false when there is none that still lives.
  bool take_kept();
  /// Makes a fresh connection. Throws Error{unavailable} naming the endpoint.
  Task<> connect();
  /// The connection is in order and may be kept for the next request.
  void keep();

  Connection& connection() noexcept { return *connection_; }
  ClientPool& pool() noexcept { return *pool_; }

 private:
  std::shared_ptr<ClientPool> pool_;
  std::unique_ptr<Connection> connection_;
};

/// The connections to one endpoint. It lives as long as the client or a request of it.
class ClientPool : public std::enable_shared_from_this<ClientPool> {
 public:
  ClientPool(net::Executor executor, Endpoint endpoint, ClientOptions options);

  /// Suspends until a connection may be used, at most `limit`. Throws Error{unavailable}.
  Task<Lease> acquire(net::Clock::duration limit);
  /// No connection is kept any more.
  void shut();
  /// Drops kept connections, which the peer has probably closed all.
  void drop_kept();

  /// See Client.
  std::string tls_session() const;

  /// Error{unavailable} that names the endpoint.
  Error failure(std::string_view what) const;

  const net::Executor executor;
  const Endpoint endpoint;
  const ClientOptions options;
  /// The Host field's value.
  const std::string host_field;

 private:
  friend class Lease;
  struct Waiter;
  Task<std::unique_ptr<Connection>> open_connection();
  Task<int> open_socket(net::Clock::time_point until);
  void free_place();

  std::shared_ptr<Deadlines> deadlines_;
  std::shared_ptr<TlsContext> tls_;
  std::vector<std::unique_ptr<Connection>> kept_;  // the newest last
  std::size_t in_use_ = 0;
  std::deque<Waiter*> waiters_;
  bool shut_ = false;
};

}  // namespace terrane::http
