#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "supervisor/supervisor.h"

namespace terrane::supervisor {

/// One service of a supervisor: the loop that keeps it running. For supervisor.cc only; lives in a shared_ptr
/// that its coroutines hold.
class Service : public std::enable_shared_from_this<Service> {
 public:
  Service(net::Executor executor, ServiceSpec spec, std::shared_ptr<const SupervisorOptions> options,
          std::shared_ptr<net::Event> any_change);

  /// The services that must be ready before this one starts; they outlive the loop.
  std::vector<std::weak_ptr<Service>> after;
  /// Those that must have stopped before this one stops.
  std::vector<std::weak_ptr<Service>> before;

  /// Begins to keep it running.
  void start();
  /// Suspends until it has stopped for good, after all in `before` have; sends signals. Never throws because
  /// of the service.
  Task<> stop();
  /// See Supervisor::restart.
  Task<> restart();

  const std::string& name() const noexcept { return spec_.name; }
  State state() const noexcept { return status_.state; }
  const Status& status() const noexcept { return status_; }
  /// Why it did not become ready at first; null when it did.
  std::exception_ptr failure() const noexcept { return failure_; }

 private:
  Task<> keep();
  Task<bool> run_once();
  Task<> become_ready();
  Task<> watch_life();
  Task<> wait_end(std::shared_ptr<net::Process> process);
  Task<> pause_before_restart(net::Clock::duration lived);
  Task<bool> ask();
  Task<> end_process();
  Task<> await_end(net::Clock::duration limit);
  Task<> call_after_stop();
  void start_process();
  void signal(int number);
  void set(State state);
  Error start_error(const std::string& what) const;

  net::Executor executor_;
  ServiceSpec spec_;
  std::shared_ptr<const SupervisorOptions> options_;
  std::shared_ptr<net::Event> any_change_;
  net::Event changed_;
  Status status_;
  std::shared_ptr<net::Process> process_;  // null when none runs
  std::chrono::milliseconds pause_;
  std::exception_ptr failure_;
  bool wanted_ = false;     // keep it running
  bool kept_ = false;       // the loop runs
  bool was_ready_ = false;  // once at least
  bool at_once_ = false;    // the next restart needs no pause
};

}  // namespace terrane::supervisor
