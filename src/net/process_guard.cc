#include <cerrno>
#include <climits>
#include <csignal>
#include <ctime>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/process_child.h"

// The guard is a fork of the parent without exec: it costs a few pages, needs no program of its own, and its
// memory is not touched. So the rule of process_child.h holds for all of its life.
namespace terrane::net::child {
namespace {

constexpr int parent_died = SIGHUP;
constexpr long tree_limit_ms = 10'000;

long now_ms() {
  timespec now;
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
}

/// Waits for one of the blocked signals, at most `ms` (below 0: for ever). Returns its number, 0 when none
/// came.
int wait_signal(long ms) {
  sigset_t all;
  ::sigfillset(&all);
  timespec limit = {ms / 1000, (ms % 1000) * 1'000'000};
  int number = ms < 0 ? ::sigwaitinfo(&all, nullptr) : ::sigtimedwait(&all, nullptr, &limit);
  return number > 0 ? number : 0;
}

/// Sends SIGKILL to every child of this process, as the kernel lists them.
void kill_children() {
  int fd = ::open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  char text[4096];
  pid_t pid = 0;
  for (ssize_t got; (got = ::read(fd, text, sizeof text)) > 0;) {
    for (ssize_t i = 0; i < got; ++i) {
      if (text[i] >= '0' && text[i] <= '9') {
        pid = pid * 10 + (text[i] - '0');
      } else if (pid > 0) {
        ::kill(pid, SIGKILL);
        pid = 0;
      }
    }
  }
  ::close(fd);
}

/// Ends all descendants: those whose parent ends become children of this process (it is a subreaper) and are
/// killed in the next round.
void end_tree() {
  for (long until = now_ms() + tree_limit_ms; now_ms() < until;) {
    kill_children();
    pid_t pid;
    while ((pid = ::waitpid(-1, nullptr, WNOHANG)) > 0) {
    }
    if (pid < 0 && errno == ECHILD) return;
    wait_signal(10);
  }
}

void signal_program(const Guard& guard, pid_t program, int number) {
  // Never twice: many programs take a second SIGTERM as "at once".
  if (!guard.whole_tree || ::kill(-program, number) != 0) ::kill(program, number);
}

/// Reaps children until the program has ended; returns its wait status. Ends the program once the parent is
/// gone.
int await_program(const Plan& plan, pid_t program, pid_t parent) {
  const Guard& guard = *plan.guard;
  long kill_at = -1;
  while (true) {
    int status = 0;
    pid_t pid;
    while ((pid = ::waitpid(-1, &status, WNOHANG)) > 0) {
      if (pid == program) return status;
    }
    if (pid < 0 && errno == ECHILD) return 0;
    int number = wait_signal(kill_at < 0 ? -1 : std::max(kill_at - now_ms(), 0L));
    bool orphaned = number == parent_died && ::getppid() != parent;
    if (kill_at < 0 && (orphaned || number == SIGTERM || number == SIGINT)) {
      signal_program(guard, program, guard.stop_signal);
      if (orphaned) kill_at = now_ms() + guard.stop_limit.count();
    }
    if (kill_at >= 0 && now_ms() >= kill_at) {
      ::kill(-program, SIGKILL);
      ::kill(program, SIGKILL);
      kill_at = now_ms() + 1000;
    }
  }
}

/// Ends as the program did.
[[noreturn]] void end_like(int status) {
  if (WIFSIGNALED(status)) {
    rlimit no_core = {0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    sigset_t one;
    ::sigemptyset(&one);
    ::sigaddset(&one, WTERMSIG(status));
    ::kill(::getpid(), WTERMSIG(status));
    ::sigprocmask(SIG_UNBLOCK, &one, nullptr);
  }
  ::_exit(WEXITSTATUS(status));
}

/// Closes everything that the parent had open but what the guard keeps.
void close_files(const Plan& plan) {
  for (int fd = 0; fd < 3; ++fd) ::dup2(plan.null_file, fd);
  unsigned keep = plan.guard->keep_open > 2 ? static_cast<unsigned>(plan.guard->keep_open) : 0;
  if (keep > 3) ::close_range(3, keep - 1, 0);
  ::close_range(keep > 2 ? keep + 1 : 3, UINT_MAX, 0);
}

}  // namespace

void run_guard(Plan& plan) {
  reset_signals();
  pid_t parent = plan.parent;
  if (::setsid() < 0) fail(plan, Step::guard);
  ::prctl(PR_SET_NAME, "terrane-guard");
  if (::prctl(PR_SET_PDEATHSIG, parent_died) != 0) fail(plan, Step::guard);
  if (::getppid() != parent) ::_exit(127);
  if (plan.guard->whole_tree && ::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) fail(plan, Step::guard);
  plan.parent = ::getpid();
  plan.die_with_parent = true;  // should the guard itself be killed
  pid_t program = ::_Fork();
  if (program == 0) run_program(plan);
  if (program < 0) fail(plan, Step::guard);
  Report report{program, Step::exec, 0};
  if (::write(plan.report, &report, sizeof report) != sizeof report) ::_exit(127);
  close_files(plan);
  [[maybe_unused]] int ignored = ::chdir("/");
  int status = await_program(plan, program, parent);
  if (plan.guard->whole_tree) end_tree();
  end_like(status);
}

}  // namespace terrane::net::child
