#pragma once
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include "base/task.h"
#include "net/io.h"
#include "sandbox/limits.h"

namespace terrane::sandbox {

/// Where things are inside.
inline constexpr const char* work_inside = "/run/terrane/work";
inline constexpr const char* home_inside = "/run/terrane/home";
inline constexpr const char* binary_inside = "/run/terrane/bin/terrane";  ///< the program of inside_program.h

/// What the broker hands to a shim. The descriptors are the shim's own.
struct ShimInheritance {
  std::string run;
  std::string phase;
  std::filesystem::path spool;
  std::filesystem::path run_directory;  ///< on the host: `work`, `tmp` and `home` lie in it, all three shared
                                        ///< with the sandbox by group
  std::filesystem::path broker_socket;
  std::string hostname;  ///< of the platform; empty without relay
  std::uint16_t relay_port = 0;
  uid_t run_uid = 0;  ///< and gid; a supplementary group of the shim
  std::chrono::seconds grace{60};
  bool network = false;  ///< whether outside hosts can be reached
  pid_t launcher = -1;   ///< child of the shim that becomes the sandbox
  int control = -1;      ///< to the launcher, later to the sandbox's pid 1
  int job = -1;          ///< the job's descriptor from the worker
  std::vector<int>
      relays;  ///< listening TCP sockets inside the sandbox's network (127.0.0.1, and ::1 where it is)
  std::vector<std::filesystem::path>
      cgroups;  ///< directories with the sandbox's limits; empty when limits are weak
};

/// Waits for the broker's assignment, gives up root, and returns what this shim is; call it once, first.
/// Blocks; ends the process when no assignment will come. Throws Error{invalid} when this is no shim,
/// {internal} when root could not be given up.
ShimInheritance inherited_from_environment();

/// A file or directory of the host that the sandbox sees. The shim must be able to reach it by name; inside,
/// the ordinary permissions for the run's uid apply. Mounts below it are not seen.
struct Bind {
  std::filesystem::path source;
  std::string destination;  ///< absolute
  bool writable = false;
};

/// What a sandbox shows besides the system's /usr, the run directory, and /proc, /dev, /etc of its own.
struct SandboxSpec {
  std::vector<Bind> binds;  ///< at most 64
  std::map<std::string, std::string>
      hosts;  ///< further names for /etc/hosts, name to address; the platform's own name is there
  std::map<std::string, std::string>
      files;  ///< further small read-only files, path to content, at most 64 of 1 MiB
};

/// How a command ended.
struct Exit {
  int code = 0;       ///< exit status; meaningless when `signal` is set or it was lost
  int signal = 0;     ///< the signal that ended it, or 0
  bool lost = false;  ///< the sandbox ended before the command
  bool success() const noexcept { return code == 0 && signal == 0 && !lost; }
};

enum class Stream { output, errors };

/// A program to run inside. Its standard input is empty; argv[0] is an absolute path inside; argv and
/// environment together at most 16 MiB.
struct Command {
  std::vector<std::string> argv;
  std::map<std::string, std::string> environment;
  std::string directory = work_inside;
  /// Called for each piece of output (at most 64 KiB); while the call is suspended nothing more is read, so
  /// the command waits.
  std::function<Task<>(Stream, std::string_view)> on_output;
};

/// A running sandbox, as its shim sees it. If the shim dies, pid 1 inside sends SIGINT to the commands, keeps
/// their output flowing to nowhere, and kills all after the grace. One executor; copies share the sandbox.
class Sandbox {
 public:
  /// Starts the sandbox in the launcher and suspends until pid 1 answers, at most 20 s. Throws
  /// Error{unprocessable} for a spec that cannot be, {internal} with bubblewrap's message when it fails.
  static Task<Sandbox> start(net::Executor executor, const ShimInheritance& inheritance, SandboxSpec spec);

  /// Runs a command in a process group of its own, several at a time (at most 16), and suspends until it has
  /// ended and its output is read; what it left in its group is killed. Throws Error{unprocessable} when it
  /// cannot be started (with the system's reason), {unavailable} when the sandbox has ended.
  Task<Exit> exec(Command command);
  /// SIGINT to the process groups of all running commands. A second one makes most engines end at once.
  void interrupt();
  /// Any other signal to the same.
  void signal(int number);
  /// SIGKILL to everything inside, and the end of the sandbox. When pid 1 has not followed after 2 s, the
  /// broker is asked.
  void kill_all();
  /// Suspends until every process of the sandbox is gone. To end a sandbox in order: kill_all(), then
  /// ended().
  Task<> ended();
  bool running() const noexcept;
  /// The limits that were hit so far; asks the kernel anew.
  LimitsHit limits();

  struct Impl;

 private:
  explicit Sandbox(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<Impl> impl_;
};

}  // namespace terrane::sandbox
