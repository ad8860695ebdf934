#include "sandbox/processes.h"

#include <dirent.h>
#include <grp.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "sandbox/readable.h"

namespace terrane::sandbox {

namespace {

// The effective uid from /proc/PID/status. The owner of /proc/PID does not do: it is root for processes that
// are not dumpable.
std::optional<uid_t> uid_of(const std::string& pid) {
  std::optional<std::string> status = read_small_file("/proc/" + pid + "/status");
  if (!status) return std::nullopt;
  std::size_t line = status->find("\nUid:\t");
  if (line == std::string::npos) return std::nullopt;
  if (status->find("\nState:\tZ") != std::string::npos) return std::nullopt;  // only waits to be reaped
  std::vector<std::string_view> numbers = split(std::string_view(*status).substr(line + 6, 64), '\t');
  if (numbers.size() < 2) return std::nullopt;
  std::optional<std::int64_t> uid = parse_int(numbers[1]);
  return uid ? std::optional<uid_t>(static_cast<uid_t>(*uid)) : std::nullopt;
}

}  // namespace

std::map<uid_t, std::uint32_t> processes_by_uid() {
  std::map<uid_t, std::uint32_t> counts;
  DIR* directory = opendir("/proc");
  if (!directory) fail("Reading /proc");
  while (dirent* entry = readdir(directory)) {
    if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
    if (std::optional<uid_t> uid = uid_of(entry->d_name)) ++counts[*uid];
  }
  closedir(directory);
  return counts;
}

void kill_all_of(uid_t uid) {
  if (uid < 1000) return;
  pid_t child = fork();
  if (child < 0) fail("fork");
  if (child == 0) {
    // The raw calls: glibc's would change all threads, of which a forked child has one.
    if (syscall(SYS_setgroups, 0, nullptr) == 0 && syscall(SYS_setresuid, uid, uid, uid) == 0)
      kill(-1, SIGKILL);
    _exit(0);
  }
  int status;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
}

std::uint64_t start_time_of(pid_t pid) {
  if (pid <= 0) return 0;
  std::optional<std::string> stat = read_small_file("/proc/" + std::to_string(pid) + "/stat");
  if (!stat) return 0;
  std::size_t name_end = stat->rfind(')');  // the name may hold anything, also blanks and parentheses
  if (name_end == std::string::npos || name_end + 2 > stat->size()) return 0;
  std::vector<std::string_view> fields = split(std::string_view(*stat).substr(name_end + 2), ' ');
  if (fields.size() < 20 || fields[0] == "Z" || fields[0] == "X") return 0;
  return static_cast<std::uint64_t>(parse_int(fields[19]).value_or(0));
}

Task<int> in_child(std::function<int()> work) {
  pid_t child = fork();
  if (child < 0) fail("fork");
  if (child == 0) {
    int result = 255;
    try {
      result = work();
    } catch (...) {
    }
    _exit(result);
  }
  Descriptor ended(static_cast<int>(syscall(SYS_pidfd_open, child, 0)));
  if (ended) co_await wait_readable(ended.get());
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  co_return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

}  // namespace terrane::sandbox
