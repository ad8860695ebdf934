#pragma once
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/task.h"
#include "base/time.h"
#include "net/io.h"
#include "net/process.h"

namespace terrane::supervisor {

/// A program that is kept running.
struct ServiceSpec {
  std::string name;
  /// How it is started. The supervisor adds standard output and error (the log file) and the guard.
  net::ProcessOptions process;
  /// Whether it does its work. Asked until true after each start, and as a sign of life while it runs; three
  /// noes in a row end it. An exception is a no. Empty: ready as soon as it runs.
  std::function<Task<bool>()> ready;
  std::chrono::seconds ready_limit{60};
  std::chrono::seconds stop_limit{10};  ///< from the stop signal to SIGKILL
  int stop_signal = SIGTERM;
  std::vector<std::string> after;        ///< names of services that must be ready before each start
  bool group_kill = false;               ///< signals go to its group, and all of its descendants end with it
  std::function<Task<>()> before_start;  ///< before each start; an exception fails the start
  std::function<Task<>()> after_stop;    ///< after each end
};

enum class State {
  stopped,   ///< not wanted
  waiting,   ///< for services that it comes after
  starting,  ///< runs and is not ready yet
  ready,
  pausing,  ///< ended; starts again after a pause
  stopping,
  failed,  ///< did not become ready in start_all
};
std::string_view name(State state);

/// What a service does now.
struct Status {
  std::string name;
  pid_t pid = 0;  ///< 0 while it does not run
  State state = State::stopped;
  Time since;  ///< of the state
  int restarts = 0;
  std::optional<net::ExitStatus> last_exit;
};

/// The times of a supervisor; tests shorten them.
struct Pace {
  std::chrono::milliseconds ask_first{20};          ///< pause between two questions for readiness at first,
  std::chrono::milliseconds ask_last{100};          ///< and at last
  std::chrono::milliseconds ask_limit{5000};        ///< an answer that takes longer is a no
  std::chrono::milliseconds alive_every{5000};      ///< pause between two questions for a sign of life
  std::chrono::milliseconds first_pause{100};       ///< before the first restart, doubling
  std::chrono::milliseconds last_pause{5000};       ///< up to this
  std::chrono::milliseconds healthy_after{30'000};  ///< after so long a life the pause begins anew
};

struct SupervisorOptions {
  std::filesystem::path log_directory;  ///< exists; each service writes to NAME.log, which becomes NAME.log.1
                                        ///< above 64 MiB at a start
  int children_lock = -1;               ///< kept open by each guard (DirectoryLock::children)
  Pace pace;
};

/// Starts services in the order of their dependencies (independent ones at once), restarts what ends, stops
/// all in reverse order. When this process is killed, guards end the services. One executor; stop_all comes
/// before destruction. Knows nothing of what the services do.
class Supervisor {
 public:
  /// Throws Error{internal} when names are not unique, or `after` names nobody or goes in a circle.
  Supervisor(net::Executor executor, std::vector<ServiceSpec> specs, SupervisorOptions options);
  ~Supervisor();

  /// Starts all and suspends until all are ready. The first that ends or is not ready within its limit fails
  /// it: Error{unavailable} that names the service and shows the last lines of its log; the others run on
  /// until stop_all.
  Task<> start_all();
  /// Suspends until `stop` is requested. What ends meanwhile is restarted with growing pauses (from the first
  /// readiness on, also outside of this call).
  Task<> run(net::Stop& stop);
  /// Stops each service after all that come after it: its signal, then after its limit SIGKILL.
  Task<> stop_all();
  /// Stops one service and suspends until it is ready again. Error{not_found} for an unknown name,
  /// Error{conflict} when it is not running, Error{unavailable} when it does not come back within its limits.
  Task<> restart(std::string name);

  std::vector<Status> status() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace terrane::supervisor
