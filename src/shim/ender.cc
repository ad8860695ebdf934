#include "shim/ender.h"

namespace terrane::shim {

struct Ender::State {
  State(net::Executor ex, std::chrono::milliseconds patience, std::function<void(std::string_view)> speak)
      : executor(ex), grace(patience), say(std::move(speak)), changed(ex) {}

  void finish_off() {
    if (killed) return;
    killed = true;
    if (sandbox) sandbox->kill_all();
  }

  static Task<> kill_later(std::shared_ptr<State> self) {
    co_await net::sleep_for(self->grace);
    if (self->sandbox && self->sandbox->running() && !self->killed) {
      self->say("The engine did not end in time after the interrupt and is killed.");
    }
    self->finish_off();
  }

  net::Executor executor;
  std::chrono::milliseconds grace;
  std::function<void(std::string_view)> say;
  std::optional<sandbox::Sandbox> sandbox;
  Cause cause = Cause::none;
  bool killed = false;
  net::Event changed;
};

Ender::Ender(net::Executor executor, std::chrono::milliseconds grace,
             std::function<void(std::string_view)> say)
    : state_(std::make_shared<State>(executor, grace, std::move(say))) {}

void Ender::attach(sandbox::Sandbox sandbox) {
  state_->sandbox = std::move(sandbox);
  if (state_->killed) state_->sandbox->kill_all();
}

void Ender::interrupt(Cause cause) {
  if (state_->cause != Cause::none) return;
  state_->cause = cause;
  state_->say("Interrupt received. The engine is asked to end.");
  if (state_->sandbox) state_->sandbox->interrupt();
  net::spawn(state_->executor, "grace of an interrupt", State::kill_later(state_));
  state_->changed.notify();
}

void Ender::kill(Cause cause) {
  if (state_->cause == Cause::none) state_->cause = cause;
  if (!state_->killed) state_->say("The engine is killed.");
  state_->finish_off();
  state_->changed.notify();
}

Cause Ender::cause() const noexcept { return state_->cause; }

Task<bool> Ender::wait_for(net::Clock::duration limit) {
  std::shared_ptr<State> state = state_;
  if (state->cause == Cause::none) co_await state->changed.wait_for(limit);
  co_return state->cause != Cause::none;
}

}  // namespace terrane::shim
