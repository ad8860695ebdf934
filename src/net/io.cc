#include "net/io.h"

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <set>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/error.h"
#include "base/log.h"

namespace terrane::net {

namespace asio = boost::asio;

Task<> sleep_for(Clock::duration duration) {
  asio::steady_timer timer(co_await asio::this_coro::executor, duration);
  co_await timer.async_wait(asio::use_awaitable);
}

void spawn(Executor executor, std::string name, Task<> task) {
  spawn(std::move(executor), std::move(task), [name = std::move(name)](std::exception_ptr failure) {
    if (!failure) return;
    try {
      std::rethrow_exception(failure);
    } catch (...) {
      log::error("task ended by an exception", {{"task", name}, {"error", current_exception_text()}});
    }
  });
}

void spawn(Executor executor, Task<> task, std::function<void(std::exception_ptr)> done) {
  asio::co_spawn(std::move(executor), std::move(task), std::move(done));
}

struct Event::State {
  struct Waiter {
    asio::steady_timer timer;
    bool notified = false;
  };
  std::set<Waiter*> waiters;
};

Event::Event(Executor executor) : state_(std::make_shared<State>()) {}
Event::~Event() = default;

void Event::notify() {
  for (State::Waiter* waiter : std::exchange(state_->waiters, {})) {
    waiter->notified = true;
    waiter->timer.cancel();
  }
}

Task<bool> Event::wait_for(Clock::duration limit) {
  // One timer a waiter and no coroutine of its own: waiting is frequent. The state is shared, so a frame may
  // outlive the event.
  std::shared_ptr<State> state = state_;
  State::Waiter waiter{asio::steady_timer(co_await asio::this_coro::executor, limit)};
  struct Registration {
    State& state;
    State::Waiter& waiter;
    ~Registration() { state.waiters.erase(&waiter); }
  } registration{*state, waiter};
  state->waiters.insert(&waiter);
  boost::system::error_code ended;
  co_await waiter.timer.async_wait(asio::redirect_error(asio::use_awaitable, ended));
  co_return waiter.notified;
}

void Stop::request() {
  requested_ = true;
  event_.notify();
}

Task<bool> Stop::wait_for(Clock::duration limit) {
  if (requested_) co_return true;
  co_await event_.wait_for(limit);
  co_return requested_;
}

namespace {
/// Calls on the pool that have not come back to their executor yet.
std::atomic<int> blocking_calls = 0;
}  // namespace

Task<> blocking(std::function<void()> work) {
  static asio::thread_pool pool(4);
  Executor home = co_await asio::this_coro::executor;
  std::exception_ptr failure;
  auto run = [&work, &failure, home](auto handler) {
    ++blocking_calls;
    asio::post(pool, [&work, &failure, home, handler = std::move(handler)]() mutable {
      try {
        work();
      } catch (...) {
        failure = std::current_exception();
      }
      asio::post(home, std::move(handler));
      --blocking_calls;
    });
  };
  co_await asio::async_initiate<const asio::use_awaitable_t<>&, void()>(run, asio::use_awaitable);
  if (failure) std::rethrow_exception(failure);
}

Task<> with_deadline(Clock::duration limit, std::string what, Task<> task) {
  // Not the || operator: it waits for the first success, so a task that throws would be held until the limit.
  Executor executor = co_await asio::this_coro::executor;
  asio::steady_timer timer(executor, limit);
  auto [order, failure, waited] =
      co_await asio::experimental::make_parallel_group(
          asio::co_spawn(executor, std::move(task), asio::deferred), timer.async_wait(asio::deferred))
          .async_wait(asio::experimental::wait_for_one(), asio::use_awaitable);
  if (!failure) co_return;  // it ended well, be it in the last moment
  if (order[0] == 1 && !waited) throw Error(Code::unavailable, what + " did not answer in time.");
  std::rethrow_exception(failure);
}

int run_role(std::function<Task<int>(Executor, Stop&)> main) {
  asio::io_context context(1);
  Stop stop(context.get_executor());
  asio::signal_set signals(context, SIGTERM, SIGINT);
  std::function<void()> listen = [&] {
    signals.async_wait([&](boost::system::error_code failure, int) {
      if (failure) return;
      if (stop.requested()) std::_Exit(1);
      stop.request();
      listen();
    });
  };
  listen();
  std::signal(SIGPIPE, SIG_IGN);
  int result = 1;
  asio::co_spawn(context, main(context.get_executor(), stop), [&](std::exception_ptr failure, int value) {
    if (!failure) {
      result = value;
    } else {
      try {
        std::rethrow_exception(failure);
      } catch (...) {
        log::error("role ended by an exception", {{"error", current_exception_text()}});
      }
    }
    signals.cancel();
    context.stop();
  });
  context.run();
  // A blocking call that still runs would return to an executor that is gone.
  if (blocking_calls > 0) std::_Exit(result);
  return result;
}

}  // namespace terrane::net
