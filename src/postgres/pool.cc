#include "postgres/pool.h"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/log.h"

namespace terrane::postgres {

namespace asio = boost::asio;

namespace {

constexpr std::chrono::milliseconds first_pause{50};
constexpr std::chrono::milliseconds longest_pause{1'000};

}  // namespace

/// Somebody in `acquire`. It leaves the queue when its coroutine ends in whatever way, and returns what it
/// was given too late.
struct Pool::Waiter {
  explicit Waiter(Pool& owner) : pool(owner), timer(owner.executor_, owner.options_.acquire_time) {
    pool.waiters_.push_back(this);
  }
  ~Waiter() {
    std::erase(pool.waiters_, this);
    if (given) pool.give_back(std::move(given));
  }
  Pool& pool;
  asio::steady_timer timer;
  std::unique_ptr<Connection> given;
};

Lease::Lease(std::shared_ptr<Pool> pool, std::unique_ptr<Connection> connection)
    : pool_(std::move(pool)), connection_(std::move(connection)) {}
Lease::Lease(Lease&&) noexcept = default;
Lease& Lease::operator=(Lease&& other) noexcept {
  give_back();
  pool_ = std::move(other.pool_);
  connection_ = std::move(other.connection_);
  return *this;
}
Lease::~Lease() { give_back(); }

void Lease::give_back() noexcept {
  if (connection_) pool_->give_back(std::move(connection_));
}

void Lease::drop() {
  if (!connection_) return;
  connection_.reset();
  pool_->forget_one();
}

Pool::Pool(net::Executor executor, DatabaseOptions options)
    : executor_(std::move(executor)), options_(std::move(options)) {}
Pool::~Pool() = default;

std::unique_ptr<Connection> Pool::take_idle() {
  while (!idle_.empty()) {
    std::unique_ptr<Connection> connection = std::move(idle_.back());
    idle_.pop_back();
    if (connection->is_alive()) return connection;
    --open_;
  }
  return nullptr;
}

Task<Lease> Pool::acquire() {
  if (waiters_.empty()) {
    if (std::unique_ptr<Connection> connection = take_idle())
      co_return Lease(shared_from_this(), std::move(connection));
  }
  Waiter waiter(*this);
  grow();
  if (!closed_) {
    boost::system::error_code woken;
    co_await waiter.timer.async_wait(asio::redirect_error(asio::use_awaitable, woken));
  }
  if (!waiter.given)
    throw Error(Code::unavailable, "The database did not answer in time.").add_context(last_failure_);
  co_return Lease(shared_from_this(), std::move(waiter.given));
}

void Pool::give_back(std::unique_ptr<Connection> connection) {
  if (closed_ || !connection->is_usable()) {
    connection.reset();
    forget_one();
  } else if (connection->is_in_transaction()) {
    net::spawn(executor_, "postgres rollback", roll_back(shared_from_this(), std::move(connection)));
  } else {
    connection->mark_kept();
    hand_out(std::move(connection));
  }
}

void Pool::hand_out(std::unique_ptr<Connection> connection) {
  if (waiters_.empty()) {
    idle_.push_back(std::move(connection));
    return;
  }
  Waiter* first = waiters_.front();
  waiters_.pop_front();
  first->given = std::move(connection);
  first->timer.cancel();
}

void Pool::forget_one() {
  --open_;
  grow();
}

void Pool::drop_dead() {
  std::size_t dropped = std::erase_if(
      idle_, [](const std::unique_ptr<Connection>& connection) { return !connection->is_alive(); });
  open_ -= dropped;
}

void Pool::close() {
  closed_ = true;
  open_ -= idle_.size();
  idle_.clear();
  for (Waiter* waiter : waiters_) waiter->timer.cancel();
}

Task<> Pool::roll_back(std::shared_ptr<Pool> self, std::unique_ptr<Connection> connection) {
  Lease lease(self, std::move(connection));
  std::vector<Call> calls{Call{{"rollback", "ROLLBACK"}, {}, false}};
  try {
    co_await lease->run(calls);
  } catch (const Error& error) {
    log::debug("rollback failed, the connection is dropped", {{"error", error.what()}});
    lease.drop();
  }
}

void Pool::grow() {
  // While the server is away one attempt at a time is enough.
  while (!closed_ && connecting_ < waiters_.size() && open_ + connecting_ < options_.connections &&
         (failures_ == 0 || connecting_ == 0)) {
    ++connecting_;
    net::spawn(executor_, "postgres connect", connect(shared_from_this()));
  }
}

Task<> Pool::connect(std::shared_ptr<Pool> self) {
  std::chrono::milliseconds pause = first_pause;
  while (!self->closed_ && !self->waiters_.empty()) {
    if (co_await self->try_connect()) break;
    co_await net::sleep_for(pause);
    pause = std::min(pause * 2, longest_pause);
  }
  --self->connecting_;
  self->grow();
}

Task<bool> Pool::try_connect() {
  try {
    ConnectionSettings settings{options_.url, options_.application, options_.statement_time,
                                options_.lock_time};
    std::unique_ptr<Connection> connection = co_await Connection::open(std::move(settings));
    if (failures_ > 0) log::info("the database is back", {{"attempts", failures_ + 1}});
    failures_ = 0;
    last_failure_.clear();
    ++open_;
    if (closed_)
      connection.reset(), --open_;
    else
      hand_out(std::move(connection));
    co_return true;
  } catch (const std::exception& error) {
    last_failure_ = error.what();
    if (++failures_ == 1) log::warn("cannot connect to the database", {{"error", last_failure_}});
    co_return false;
  }
}

}  // namespace terrane::postgres
