#include "net/process_child.h"

#include <cerrno>
#include <climits>
#include <csignal>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace terrane::net::child {
namespace {

/// Puts the files at their numbers. First all move above every target, so that no target overwrites a source.
void arrange_files(Plan& plan) {
  int above = std::max(plan.files.back().second, 2) + 1;
  int report = ::fcntl(plan.report, F_DUPFD_CLOEXEC, above);
  if (report < 0) fail(plan, Step::files);
  plan.report = report;
  for (std::size_t i = 0; i < plan.files.size(); ++i) {
    plan.moved[i] = ::fcntl(plan.files[i].first, F_DUPFD_CLOEXEC, above);
    if (plan.moved[i] < 0) fail(plan, Step::files);
  }
  for (std::size_t i = 0; i < plan.files.size(); ++i) {
    if (::dup2(plan.moved[i], plan.files[i].second) < 0) fail(plan, Step::files);
  }
  // Everything between and above the targets closes at exec; the report pipe must live until then.
  unsigned from = 0;
  for (const auto& file : plan.files) {
    unsigned target = static_cast<unsigned>(file.second);
    if (target > from && ::close_range(from, target - 1, CLOSE_RANGE_CLOEXEC) != 0) fail(plan, Step::close);
    from = target + 1;
  }
  if (::close_range(from, UINT_MAX, CLOSE_RANGE_CLOEXEC) != 0) fail(plan, Step::close);
}

/// Raw system calls: the library's functions would signal threads that exist only in the parent.
void change_user(const Plan& plan) {
  if (!plan.change_user) return;
  // Until exec this is a copy of the parent's memory; the new user must not look into it.
  if (::prctl(PR_SET_DUMPABLE, 0) != 0) fail(plan, Step::user);
  if (::syscall(SYS_setgroups, plan.groups.size(), plan.groups.data()) != 0) fail(plan, Step::groups);
  if (::syscall(SYS_setresgid, plan.gid, plan.gid, plan.gid) != 0) fail(plan, Step::group);
  if (::syscall(SYS_setresuid, plan.uid, plan.uid, plan.uid) != 0) fail(plan, Step::user);
  if (::prctl(PR_SET_DUMPABLE, 0) != 0) fail(plan, Step::user);
}

}  // namespace

const char* name(Step step) {
  switch (step) {
    case Step::guard: return "guard";
    case Step::session: return "setsid";
    case Step::files: return "dup of files";
    case Step::close: return "close_range";
    case Step::limits: return "setrlimit";
    case Step::groups: return "setgroups";
    case Step::group: return "setgid";
    case Step::user: return "setuid";
    case Step::parent: return "prctl";
    case Step::directory: return "chdir";
    case Step::exec: return "exec";
  }
  return "start";
}

void fail(const Plan& plan, Step step) {
  Report report{0, step, errno};
  [[maybe_unused]] ssize_t written = ::write(plan.report, &report, sizeof report);
  ::_exit(127);
}

void reset_signals() {
  struct sigaction standard = {};
  standard.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number) ::sigaction(number, &standard, nullptr);
}

void run_program(Plan& plan) {
  reset_signals();
  if (plan.own_session && ::setsid() < 0) fail(plan, Step::session);
  arrange_files(plan);
  rlimit no_core = {0, 0};
  if (::setrlimit(RLIMIT_CORE, &no_core) != 0) fail(plan, Step::limits);
  change_user(plan);
  if (plan.die_with_parent) {
    // After the change of user, which clears it. The parent may be gone already: then nobody would send the
    // signal.
    if (::prctl(PR_SET_PDEATHSIG, SIGTERM) != 0) fail(plan, Step::parent);
    if (::getppid() != plan.parent) ::_exit(127);
  }
  if (::chdir(plan.directory.c_str()) != 0) fail(plan, Step::directory);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execve(plan.argv.front(), plan.argv.data(), plan.environment.data());
  fail(plan, Step::exec);
}

}  // namespace terrane::net::child
