#include "supervisor/service.h"

#include <csignal>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "supervisor/service_log.h"

namespace terrane::supervisor {
namespace {

using net::Clock;

/// What SIGKILL and a guard that clears up may take.
constexpr auto kill_limit = std::chrono::seconds(15);
constexpr int noes_to_kill = 3;

std::string describe(const net::ExitStatus& status) {
  return status.signal != 0 ? "signal " + std::to_string(status.signal)
                            : "status " + std::to_string(status.code);
}

}  // namespace

Service::Service(net::Executor executor, ServiceSpec spec, std::shared_ptr<const SupervisorOptions> options,
                 std::shared_ptr<net::Event> any_change)
    : executor_(executor),
      spec_(std::move(spec)),
      options_(std::move(options)),
      any_change_(std::move(any_change)),
      changed_(executor),
      pause_(options_->pace.first_pause) {
  status_.name = spec_.name;
  status_.since = now();
}

void Service::set(State state) {
  status_.state = state;
  status_.since = now();
  changed_.notify();
  any_change_->notify();
}

Error Service::start_error(const std::string& what) const {
  std::string lines = last_log_lines(options_->log_directory, spec_.name);
  return Error(Code::unavailable, "Service " + spec_.name + " " + what +
                                      (lines.empty() ? "." : "; the end of its log:\n" + lines));
}

void Service::start() {
  if (kept_) return;
  wanted_ = kept_ = true;
  failure_ = nullptr;
  was_ready_ = at_once_ = false;
  pause_ = options_->pace.first_pause;
  set(State::waiting);
  auto loop = [](std::shared_ptr<Service> self) -> Task<> { co_await self->keep(); };
  net::spawn(executor_, "service " + spec_.name, loop(shared_from_this()));
}

/// Starts it again and again while it is wanted.
Task<> Service::keep() {
  while (wanted_) {
    Clock::time_point started = Clock::now();
    bool go_on = co_await run_once();
    co_await end_process();
    if (process_) break;  // not even SIGKILL ended it: starting it a second time would do harm
    co_await call_after_stop();
    if (!go_on || !wanted_) break;
    co_await pause_before_restart(Clock::now() - started);
    ++status_.restarts;
  }
  kept_ = false;
  set(failure_ || process_ ? State::failed : State::stopped);
}

/// One life, up to its end or the wish to stop. False when it failed before it was ever ready.
Task<bool> Service::run_once() {
  set(State::waiting);
  auto is_ready = [](const std::weak_ptr<Service>& other) {
    std::shared_ptr<Service> service = other.lock();
    return !service || service->state() == State::ready;
  };
  while (wanted_ && !std::ranges::all_of(after, is_ready))
    co_await any_change_->wait_for(std::chrono::seconds(1));
  if (!wanted_) co_return true;

  std::exception_ptr failure;
  try {
    if (spec_.before_start) co_await spec_.before_start();
    if (!wanted_) co_return true;
    start_process();
    co_await become_ready();
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) {
    try {
      std::rethrow_exception(failure);
    } catch (...) {
      log::error("service did not become ready",
                 {{"service", spec_.name}, {"error", current_exception_text()}});
    }
    if (was_ready_) co_return true;
    failure_ = failure;
    co_return false;
  }
  if (state() == State::ready) co_await watch_life();
  co_return true;
}

void Service::start_process() {
  net::ProcessOptions options = spec_.process;
  int log_file = open_service_log(options_->log_directory, spec_.name);
  options.files.insert(options.files.end(), {{log_file, 1}, {log_file, 2}});
  options.own_session = true;
  options.guard =
      net::Guard{.whole_tree = spec_.group_kill,
                 .stop_signal = spec_.stop_signal,
                 .stop_limit = std::min<std::chrono::milliseconds>(spec_.stop_limit, std::chrono::seconds(5)),
                 .keep_open = options_->children_lock};
  try {
    process_ = std::make_shared<net::Process>(net::Process::start(options));
  } catch (const Error& error) {
    ::close(log_file);
    throw start_error("did not start: " + error.detail());
  }
  ::close(log_file);
  status_.pid = process_->pid();
  set(State::starting);
  log::info("service started", {{"service", spec_.name}, {"pid", status_.pid}});
  auto wait = [](std::shared_ptr<Service> self, std::shared_ptr<net::Process> process) -> Task<> {
    co_await self->wait_end(process);
  };
  net::spawn(executor_, "end of " + spec_.name, wait(shared_from_this(), process_));
}

Task<> Service::wait_end(std::shared_ptr<net::Process> process) {
  net::ExitStatus status = co_await process->wait();
  log::write(wanted_ && !at_once_ ? log::Level::warn : log::Level::info, "service ended",
             {{"service", spec_.name}, {"pid", process->pid()}, {"exit", describe(status)}});
  process_ = nullptr;
  status_.pid = 0;
  status_.last_exit = status;
  changed_.notify();
}

Task<> Service::become_ready() {
  const Pace& pace = options_->pace;
  Clock::time_point began = Clock::now();
  Clock::time_point until = began + spec_.ready_limit;
  std::chrono::milliseconds pause = pace.ask_first;
  while (process_ && wanted_ && !at_once_) {
    if (co_await ask()) {
      if (!process_ || !wanted_) break;
      was_ready_ = true;
      auto took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - began);
      log::info("service ready",
                {{"service", spec_.name}, {"pid", status_.pid}, {"milliseconds", took.count()}});
      set(State::ready);
      co_return;
    }
    if (Clock::now() >= until)
      throw start_error("was not ready within " + std::to_string(spec_.ready_limit.count()) + " s");
    if (!co_await changed_.wait_for(pause)) pause = std::min(pause * 5 / 4, pace.ask_last);
  }
  if (wanted_ && !at_once_)
    throw start_error("ended with " + describe(*status_.last_exit) + " before it was ready");
}

Task<bool> Service::ask() {
  if (!spec_.ready) co_return true;
  bool answer = false;
  auto question = [](const std::function<Task<bool>()>& ready, bool& into) -> Task<> {
    into = co_await ready();
  };
  try {
    co_await net::with_deadline(options_->pace.ask_limit, spec_.name, question(spec_.ready, answer));
  } catch (const std::exception&) {
    answer = false;
  }
  co_return answer;
}

/// Suspends until the process has ended, or is to be stopped. Kills it when it gives no sign of life.
Task<> Service::watch_life() {
  int noes = 0;
  while (process_ && wanted_ && !at_once_) {
    if (co_await changed_.wait_for(options_->pace.alive_every)) continue;
    if (co_await ask()) {
      noes = 0;
    } else if (++noes == noes_to_kill && process_) {
      log::error("service gives no sign of life and is killed",
                 {{"service", spec_.name}, {"pid", status_.pid}});
      co_return;  // keep() ends it
    }
  }
}

void Service::signal(int number) {
  if (!process_) return;
  if (!spec_.group_kill || !process_->signal_group(number)) process_->signal(number);
}

Task<> Service::await_end(Clock::duration limit) {
  Clock::time_point until = Clock::now() + limit;
  while (process_ && Clock::now() < until) co_await changed_.wait_for(until - Clock::now());
}

/// Ends the process if it still runs: gently when it is to stop, at once when it failed.
Task<> Service::end_process() {
  if (!process_) co_return;
  if (!wanted_ || at_once_) {
    set(State::stopping);
    signal(spec_.stop_signal);
    co_await await_end(spec_.stop_limit);
    if (process_)
      log::warn("service did not stop in time and is killed",
                {{"service", spec_.name}, {"pid", status_.pid}});
  }
  if (!process_) co_return;
  process_->signal_group(SIGKILL);
  process_->signal(SIGKILL);
  co_await await_end(kill_limit);
  if (process_) log::error("service cannot be killed", {{"service", spec_.name}, {"pid", status_.pid}});
}

Task<> Service::call_after_stop() {
  if (!spec_.after_stop) co_return;
  try {
    co_await spec_.after_stop();
  } catch (...) {
    log::warn("clearing up after a service failed",
              {{"service", spec_.name}, {"error", current_exception_text()}});
  }
}

Task<> Service::pause_before_restart(Clock::duration lived) {
  if (std::exchange(at_once_, false)) co_return;
  const Pace& pace = options_->pace;
  if (lived >= pace.healthy_after) pause_ = pace.first_pause;
  set(State::pausing);
  log::warn(
      "service is restarted",
      {{"service", spec_.name}, {"pause_milliseconds", pause_.count()}, {"restarts", status_.restarts + 1}});
  Clock::time_point until = Clock::now() + pause_;
  pause_ = std::min(pause_ * 2, pace.last_pause);
  while (wanted_ && !at_once_ && Clock::now() < until) co_await changed_.wait_for(until - Clock::now());
  at_once_ = false;
}

Task<> Service::stop() {
  auto has_stopped = [](const std::weak_ptr<Service>& other) {
    std::shared_ptr<Service> service = other.lock();
    return !service || !service->kept_;
  };
  while (!std::ranges::all_of(before, has_stopped)) co_await any_change_->wait_for(std::chrono::seconds(1));
  wanted_ = false;
  changed_.notify();
  any_change_->notify();
  while (kept_) co_await any_change_->wait_for(std::chrono::seconds(1));
}

Task<> Service::restart() {
  if (!kept_ || !wanted_) throw Error(Code::conflict, "Service " + spec_.name + " is not running.");
  int before_restart = status_.restarts;
  at_once_ = true;
  changed_.notify();
  Clock::time_point until = Clock::now() + spec_.stop_limit + kill_limit + spec_.ready_limit;
  while (kept_ && Clock::now() < until && !(status_.restarts > before_restart && state() == State::ready)) {
    co_await changed_.wait_for(std::chrono::seconds(1));
  }
  if (state() != State::ready) throw start_error("did not come back");
}

}  // namespace terrane::supervisor
