#pragma once
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace terrane::testing {

/// A temporary directory of one test server, with a watcher process behind it: when the test's process ends
/// in whatever way, the watcher kills the process groups it was told of and removes the directory. Destroyed
/// it does the same at once.
class TestDirectory {
 public:
  /// Makes `<temporary directory>/terrane-NAME-XXXXXX`, owned by `user` when the test runs as root.
  TestDirectory(const std::string& name, const std::string& user);
  ~TestDirectory();
  TestDirectory(const TestDirectory&) = delete;
  TestDirectory& operator=(const TestDirectory&) = delete;

  const std::filesystem::path& path() const noexcept { return path_; }
  /// Makes the watcher kill this process group at the end; groups are killed in reverse order.
  void adopt_group(pid_t group);
  /// Writes a file that the directory's user owns.
  void write(const std::string& name, const std::string& text, mode_t mode = 0600) const;

 private:
  std::filesystem::path path_;
  std::string user_;
  int pipe_ = -1;
  pid_t watcher_ = -1;
};

struct ChildOptions {
  std::vector<std::string> argv;  ///< argv[0] is the path of the program
  std::map<std::string, std::string> environment;
  std::string user;  ///< whom it runs as when the test is root
  std::filesystem::path directory;
  std::filesystem::path log;  ///< standard output and error are appended to it
};

/// A server process of a test, leader of a process group of its own. Blocking and made for tests only:
/// product code uses net::Process. Destroyed it is killed with its group.
class Child {
 public:
  /// Starts the program; throws std::runtime_error when fork fails (a program that cannot be executed exits
  /// with 127).
  explicit Child(const ChildOptions& options);
  Child(Child&& other) noexcept;
  Child& operator=(Child&&) = delete;
  ~Child();

  pid_t pid() const noexcept { return pid_; }
  bool running();
  /// Signals the process, or with `group` its whole group.
  void signal(int number, bool group = false) const;
  /// Waits for the end, at most `seconds`, then kills the group. Returns the exit status, or 128 and the
  /// signal.
  int wait(int seconds);

 private:
  pid_t pid_ = -1;
  std::optional<int> status_;
};

/// Runs a program to its end; throws std::runtime_error with the end of its log when it fails or takes over a
/// minute.
void run_program(const ChildOptions& options);

/// Calls `ready` each 20 ms until it holds; throws std::runtime_error with the end of the log when `child`
/// ends before or `seconds` pass.
void wait_ready(Child& child, const std::filesystem::path& log, int seconds,
                const std::function<bool()>& ready);

/// A TCP port of 127.0.0.1 that nobody listened on a moment ago.
int free_port();
/// Whether something accepts connections there.
bool accepts_tcp(int port);
bool accepts_unix(const std::filesystem::path& socket);

}  // namespace terrane::testing
