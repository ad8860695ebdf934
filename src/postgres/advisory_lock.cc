#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>

#include "base/log.h"
#include "postgres/connection.h"
#include "postgres/listener.h"

namespace terrane::postgres {

namespace asio = boost::asio;

namespace {

constexpr Statement take_lock{"take_advisory_lock", "SELECT pg_advisory_lock($1::bigint)"};
constexpr std::chrono::milliseconds first_pause{50};
constexpr std::chrono::milliseconds longest_pause{1'000};
constexpr std::chrono::hours for_ever{24 * 365};

}  // namespace

struct AdvisoryLock::Impl {
  net::Executor executor;
  ConnectionSettings settings;
  std::int64_t key = 0;
  std::unique_ptr<Connection> connection;  // set while the lock is held
  asio::cancellation_signal cancel;        // of the watch
  bool closed = false;

  /// Waits at the server for the lock; nothing when that failed. It never throws: `||` would go on waiting
  /// for the other side.
  Task<std::unique_ptr<Connection>> take() {
    try {
      std::unique_ptr<Connection> taken = co_await Connection::open(settings);
      std::vector<Call> calls{Call{take_lock, Params::of(key), false}};
      co_await taken->run(calls);
      co_return taken;
    } catch (...) {
      log::debug("the lock could not be taken", {{"key", key}, {"error", current_exception_text()}});
      co_return nullptr;
    }
  }

  /// Until the session breaks: nothing is ever sent on it, so that whatever arrives ends it.
  static Task<> watch(std::shared_ptr<Impl> self) {
    try {
      for (;;) co_await self->connection->notifications();
    } catch (...) {
      if (!self->closed)
        log::warn("a lock was lost with its connection",
                  {{"key", self->key}, {"error", current_exception_text()}});
    }
    self->connection.reset();
  }

  void hold(const std::shared_ptr<Impl>& self, std::unique_ptr<Connection> taken) {
    connection = std::move(taken);
    asio::co_spawn(executor, watch(self),
                   asio::bind_cancellation_slot(cancel.slot(), [self](std::exception_ptr) {}));
  }
};

AdvisoryLock::AdvisoryLock(net::Executor executor, std::string url, std::int64_t key)
    : impl_(std::make_shared<Impl>()) {
  impl_->executor = std::move(executor);
  impl_->settings = ConnectionSettings{std::move(url), "terrane lock", std::chrono::milliseconds(0),
                                       std::chrono::milliseconds(0)};
  impl_->key = key;
}

AdvisoryLock::~AdvisoryLock() {
  impl_->closed = true;
  impl_->cancel.emit(asio::cancellation_type::terminal);
}

bool AdvisoryLock::held() const noexcept { return impl_->connection != nullptr; }

Task<bool> AdvisoryLock::acquire(net::Stop& stop) {
  using namespace asio::experimental::awaitable_operators;
  std::shared_ptr<Impl> impl = impl_;
  std::chrono::milliseconds pause = first_pause;
  while (!stop.requested()) {
    if (impl->connection) co_return true;
    auto winner = co_await (impl->take() || stop.wait_for(for_ever));
    if (winner.index() == 1) break;
    if (impl->closed) break;
    if (std::get<0>(winner)) {
      impl->hold(impl, std::move(std::get<0>(winner)));
      co_return true;
    }
    co_await stop.wait_for(pause);
    pause = std::min(pause * 2, longest_pause);
  }
  co_return false;
}

}  // namespace terrane::postgres
