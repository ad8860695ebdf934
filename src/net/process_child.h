#pragma once
#include <sys/types.h>
#include <utility>
#include <vector>

#include "net/process.h"

// What happens between fork and exec, for process.cc only. The parent may have threads, so after the fork
// only async-signal-safe calls are allowed: everything that needs memory stands in a Plan before.
namespace terrane::net::child {

/// The steps of a child, in order; their names stand in the error.
enum class Step : int { guard, session, files, close, limits, groups, group, user, parent, directory, exec };
const char* name(Step step);

/// What a child reports through the pipe: the program's pid (a guard does), or the step that failed and its
/// errno.
struct Report {
  pid_t program = 0;
  Step step = Step::exec;
  int number = 0;
};

/// All that a child needs.
struct Plan {
  std::vector<char*> argv;
  std::vector<std::string> variables;
  std::vector<char*> environment;
  std::string directory;
  std::vector<std::pair<int, int>> files;  ///< by number in the child, ascending; 0, 1 and 2 are present
  std::vector<int> moved;                  ///< room for the copies of the files
  bool change_user = false;
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
  bool own_session = true;
  bool die_with_parent = false;
  std::optional<Guard> guard;
  pid_t parent = 0;
  int null_file = -1;
  int report = -1;  ///< the pipe's end, close-on-exec
};

/// Becomes the program. All signals are blocked on entry.
[[noreturn]] void run_program(Plan& plan);

/// Becomes the guard of the program: starts it, waits for its end, and ends it when the parent dies. All
/// signals are blocked on entry.
[[noreturn]] void run_guard(Plan& plan);

/// Reports the failed step with errno and ends.
[[noreturn]] void fail(const Plan& plan, Step step);

/// Every signal back to its default, as after exec.
void reset_signals();

}  // namespace terrane::net::child
