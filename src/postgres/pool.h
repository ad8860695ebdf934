#pragma once
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "net/io.h"
#include "postgres/connection.h"

namespace terrane::postgres {

class Pool;

/// A connection on loan. Destroyed it goes back to the pool, which rolls back what is open and drops what is
/// broken.
class Lease {
 public:
  Lease(std::shared_ptr<Pool> pool, std::unique_ptr<Connection> connection);
  Lease(Lease&&) noexcept;
  Lease& operator=(Lease&&) noexcept;
  ~Lease();
  Connection& operator*() const noexcept { return *connection_; }
  Connection* operator->() const noexcept { return connection_.get(); }
  /// Gives the connection up without return.
  void drop();

 private:
  void give_back() noexcept;
  std::shared_ptr<Pool> pool_;
  std::unique_ptr<Connection> connection_;
};

/// Up to `connections` sessions of one database. Who waits is served first come, first served; connecting is
/// tried, with growing pauses, for as long as somebody waits.
class Pool : public std::enable_shared_from_this<Pool> {
 public:
  Pool(net::Executor executor, DatabaseOptions options);
  ~Pool();

  /// Suspends until a connection is free that is not known to be dead. Throws Error{unavailable} after
  /// acquire_time.
  Task<Lease> acquire();
  /// Drops idle connections whose server has hung up; call it when one has been found lost.
  void drop_dead();
  /// Drops idle connections and wakes all who wait, who then get Error{unavailable}.
  void close();

 private:
  friend class Lease;
  struct Waiter;
  void give_back(std::unique_ptr<Connection> connection);
  void hand_out(std::unique_ptr<Connection> connection);
  void forget_one();
  void grow();
  static Task<> connect(std::shared_ptr<Pool> self);
  static Task<> roll_back(std::shared_ptr<Pool> self, std::unique_ptr<Connection> connection);
  Task<bool> try_connect();
  std::unique_ptr<Connection> take_idle();

  net::Executor executor_;
  DatabaseOptions options_;
  std::vector<std::unique_ptr<Connection>> idle_;  // the last used is taken first
  std::deque<Waiter*> waiters_;
  std::size_t open_ = 0;        // idle or on loan
  std::size_t connecting_ = 0;  // coroutines that try
  int failures_ = 0;            // failed attempts since the last success
  std::string last_failure_;
  bool closed_ = false;
};

}  // namespace terrane::postgres
