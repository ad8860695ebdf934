#pragma once
#include <chrono>
#include <csignal>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <sys/types.h>
#include <utility>
#include <vector>

#include "base/task.h"
#include "net/io.h"

namespace terrane::net {

/// How a guarded program is ended when its parent dies, and what counts as part of it.
struct Guard {
  bool whole_tree = false;  ///< with all its descendants, also those in sessions of their own; they end when
                            ///< the program ends, too
  int stop_signal = SIGTERM;                   ///< for the program, or for its group with whole_tree
  std::chrono::milliseconds stop_limit{5000};  ///< then SIGKILL
  int keep_open =
      -1;  ///< a descriptor that stays open as long as the guard runs, so a lock on it tells when all is over
};

/// How a child process is started. Nothing of the parent's environment or open files is inherited but what
/// stands here.
struct ProcessOptions {
  std::vector<std::string> argv;  ///< argv[0] is the absolute path of the program
  std::map<std::string, std::string> environment;
  std::filesystem::path directory = "/";
  std::optional<uid_t> uid;   ///< change to this user (needs root)
  std::optional<gid_t> gid;   ///< its group; the number of the user when absent
  std::vector<gid_t> groups;  ///< supplementary groups, set when uid is given
  std::vector<std::pair<int, int>>
      files;                     ///< (descriptor here, number in the child); 0, 1 and 2 default to /dev/null
  bool own_session = true;       ///< setsid: signals to the parent's group do not reach it
  bool die_with_parent = false;  ///< SIGTERM when the parent's thread ends (PR_SET_PDEATHSIG)
  /// Starts the program through a guard: a small process between parent and program that outlives the parent
  /// by as much as it takes to end the program, and passes its exit status on. `Process` looks the same, it
  /// speaks of the program.
  std::optional<Guard> guard;
};

/// How a process ended.
struct ExitStatus {
  int code = 0;    ///< exit status; meaningless when `signal` is set
  int signal = 0;  ///< the signal that ended it, 0 when it exited by itself
  bool success() const noexcept { return signal == 0 && code == 0; }
};

/// A child process. Destroying the object of a running child neither kills nor waits for it.
class Process {
 public:
  /// Starts the program. Throws Error{internal} that names the step and errno when it cannot be started.
  static Process start(const ProcessOptions& options);
  Process(Process&&) noexcept;
  Process& operator=(Process&&) noexcept;
  ~Process();

  pid_t pid() const noexcept { return pid_; }
  /// Suspends until the process ends and reaps it. Call it once.
  Task<ExitStatus> wait();
  /// Sends a signal; false when the process is gone.
  bool signal(int number) const noexcept;
  /// Sends a signal to its whole process group (own_session makes one); false when the group is gone.
  bool signal_group(int number) const noexcept;

 private:
  Process() = default;
  pid_t pid_ = -1;    // of the program
  int pidfd_ = -1;    // to signal it
  int wait_fd_ = -1;  // to wait for it: the guard's, if there is one
};

/// Starts the program, feeds `input`, collects standard output and error (at most 4 MiB each, the rest is
/// dropped), waits. Throws Error{unavailable} at `limit`, after SIGKILL to its group.
struct Captured {
  ExitStatus status;
  std::string output;
  std::string errors;
};
Task<Captured> run_captured(ProcessOptions options, std::string input, Clock::duration limit);

}  // namespace terrane::net
