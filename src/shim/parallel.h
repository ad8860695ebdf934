#pragma once
#include <exception>
#include <memory>

#include "base/task.h"
#include "net/io.h"

namespace terrane::shim {

/// Several coroutines at a time, all of which end before `wait` returns. One executor.
class Parallel {
 public:
  explicit Parallel(net::Executor executor)
      : executor_(executor), state_(std::make_shared<State>(executor)) {}

  void add(Task<> task) {
    ++state_->running;
    std::shared_ptr<State> state = state_;
    net::spawn(executor_, std::move(task), [state](std::exception_ptr failure) {
      if (failure && !state->failure) state->failure = failure;
      --state->running;
      state->changed.notify();
    });
  }

  /// Suspends until all have ended; throws what the first one threw that failed.
  Task<> wait() {
    std::shared_ptr<State> state = state_;
    while (state->running > 0) co_await state->changed.wait_for(std::chrono::seconds(10));
    if (state->failure) std::rethrow_exception(state->failure);
  }

 private:
  struct State {
    explicit State(net::Executor executor) : changed(executor) {}
    int running = 0;
    std::exception_ptr failure;
    net::Event changed;
  };
  net::Executor executor_;
  std::shared_ptr<State> state_;
};

}  // namespace terrane::shim
