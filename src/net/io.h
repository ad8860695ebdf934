#pragma once
#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "base/task.h"

namespace terrane::net {

using Executor = boost::asio::any_io_executor;
using Clock = std::chrono::steady_clock;

/// Suspends for `duration`. Throws boost::system::system_error(operation_aborted) when the coroutine is
/// cancelled.
Task<> sleep_for(Clock::duration duration);

/// Starts `task` on `executor` and forgets it; an exception that leaves it is logged under `name` and ends
/// it.
void spawn(Executor executor, std::string name, Task<> task);

/// Starts `task` and calls `done` on the executor with the exception that ended it, or with null.
void spawn(Executor executor, Task<> task, std::function<void(std::exception_ptr)> done);

/// Something that coroutines of one executor wait for. `notify` wakes everybody who waits now; it is not
/// remembered. Not thread-safe.
class Event {
 public:
  explicit Event(Executor executor);
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void notify();
  /// Suspends until the next `notify`, at most `limit`. Returns whether it was notified.
  Task<bool> wait_for(Clock::duration limit);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// A request to end, which is remembered: SIGTERM to a role, or a parent's wish. One executor, not
/// thread-safe.
class Stop {
 public:
  explicit Stop(Executor executor) : event_(executor) {}
  void request();
  bool requested() const noexcept { return requested_; }
  /// Suspends until the stop is requested, at most `limit`. Returns whether it was requested: `while
  /// (!co_await stop.wait_for(2s))` is a loop that ends at once.
  Task<bool> wait_for(Clock::duration limit);

 private:
  bool requested_ = false;
  Event event_;
};

/// Runs `work` on the process's pool of threads for blocking calls (4 threads) and suspends until it is done.
Task<> blocking(std::function<void()> work);

/// The same with a result.
template <class T>
Task<T> blocking_result(std::function<T()> work) {
  std::optional<T> result;
  std::function<void()> wrapped = [&result, &work] { result.emplace(work()); };
  co_await blocking(std::move(wrapped));
  co_return std::move(*result);
}

/// Runs `task` and cancels it at `limit`; then throws Error{unavailable} with `what` in its detail.
Task<> with_deadline(Clock::duration limit, std::string what, Task<> task);

/// Runs `main` on a fresh single-threaded executor until it ends, and everything that it spawned with it. The
/// first SIGTERM or SIGINT requests `stop`, the second ends the process at once. Returns main's result; an
/// exception is logged and gives 1.
int run_role(std::function<Task<int>(Executor, Stop&)> main);

}  // namespace terrane::net
