#pragma once
#include <memory>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "postgres/connection.h"

namespace terrane::postgres {

/// The connection's socket for Asio: a duplicate of libpq's descriptor, and the limit of the exchange under
/// way. Shared with the timer's handler, which may run after the connection is gone.
struct Connection::Socket {
  explicit Socket(const net::Executor& executor) : descriptor(executor), timer(executor) {}
  boost::asio::posix::stream_descriptor descriptor;
  boost::asio::steady_timer timer;
  std::uint64_t exchange = 0;  // tells a late handler that its exchange is over
  bool expired = false;
};

/// Marks the connection busy and limits its waits while it lives. `finish` is called when the session is in
/// step again; an exchange that is destroyed before leaves the connection unusable.
class Connection::Exchange {
 public:
  Exchange(Connection& connection, net::Clock::duration limit);
  ~Exchange();
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;
  void finish() noexcept { connection_.busy_ = false; }

 private:
  Connection& connection_;
};

}  // namespace terrane::postgres
