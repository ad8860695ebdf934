#include "net/process.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/error.h"
#include "net/process_child.h"

namespace terrane::net {
namespace {

namespace asio = boost::asio;
using child::Plan;

/// A descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() { reset(); }
  int get() const noexcept { return fd_; }
  int release() noexcept { return std::exchange(fd_, -1); }
  void reset() noexcept {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  int fd_;
};

Plan make_plan(const ProcessOptions& options, int null_file) {
  if (options.argv.empty() || !options.argv.front().starts_with('/')) {
    throw Error(Code::internal, "A program is started by its absolute path.");
  }
  Plan plan;
  for (const std::string& argument : options.argv) plan.argv.push_back(const_cast<char*>(argument.c_str()));
  plan.argv.push_back(nullptr);
  for (const auto& [key, value] : options.environment) plan.variables.push_back(key + "=" + value);
  for (std::string& variable : plan.variables) plan.environment.push_back(variable.data());
  plan.environment.push_back(nullptr);
  plan.directory = options.directory.string();
  std::map<int, int> files = {{0, null_file}, {1, null_file}, {2, null_file}};
  for (auto [here, there] : options.files) files[there] = here;
  for (auto [there, here] : files) plan.files.emplace_back(here, there);
  plan.moved.resize(plan.files.size());
  // Without root the process may only ask for what it already is; then there is nothing to change.
  plan.change_user = options.uid && !(::geteuid() != 0 && ::geteuid() == *options.uid);
  if (options.uid) plan.uid = *options.uid;
  plan.gid = options.gid.value_or(plan.uid);
  plan.groups = options.groups;
  plan.guard = options.guard;
  plan.null_file = null_file;
  plan.own_session = options.own_session;
  plan.die_with_parent = options.die_with_parent;
  plan.parent = ::getpid();
  return plan;
}

[[noreturn]] void throw_start_error(const std::string& program, const char* step, int number) {
  throw Error(Code::internal,
              program + " could not be started: " + step + ": " + std::strerror(number) + ".");
}

/// Reads what the child reports until it has reached exec, which closes the pipe: `program` is set by a
/// guard. Returns a failure.
std::optional<child::Report> read_reports(int fd, pid_t& program) {
  while (true) {
    child::Report report;
    ssize_t got = ::read(fd, &report, sizeof report);
    if (got < 0 && errno == EINTR) continue;
    if (got != sizeof report) return std::nullopt;
    if (report.program == 0) return report;
    program = report.program;
  }
}

int open_pidfd(pid_t pid) { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)); }

void reap(pid_t pid) {
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace

Process Process::start(const ProcessOptions& options) {
  Descriptor null_file(::open("/dev/null", O_RDWR | O_CLOEXEC));
  int ends[2];
  if (null_file.get() < 0 || ::pipe2(ends, O_CLOEXEC) != 0)
    throw Error(Code::internal, "No file descriptor is left.");
  Descriptor reading(ends[0]);
  Descriptor writing(ends[1]);
  Plan plan = make_plan(options, null_file.get());
  plan.report = writing.get();

  // No signal may run one of the parent's handlers in the child before it has reset them.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  pid_t pid = ::fork();
  if (pid == 0) {
    if (plan.guard) run_guard(plan);
    run_program(plan);
  }
  int fork_error = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) throw_start_error(options.argv.front(), "fork", fork_error);

  writing.reset();
  pid_t program = pid;
  if (std::optional<child::Report> failure = read_reports(reading.get(), program)) {
    reap(pid);
    throw_start_error(options.argv.front(), child::name(failure->step), failure->number);
  }
  Process process;
  process.pid_ = program;
  process.wait_fd_ = open_pidfd(pid);
  if (process.wait_fd_ < 0) {
    int number = errno;
    ::kill(pid, SIGKILL);
    reap(pid);
    throw_start_error(options.argv.front(), "pidfd_open", number);
  }
  // A program that has ended already has none; then there is nothing to signal either.
  process.pidfd_ = options.guard ? open_pidfd(program) : ::fcntl(process.wait_fd_, F_DUPFD_CLOEXEC, 0);
  return process;
}

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      pidfd_(std::exchange(other.pidfd_, -1)),
      wait_fd_(std::exchange(other.wait_fd_, -1)) {}

Process& Process::operator=(Process&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(pidfd_, other.pidfd_);
  std::swap(wait_fd_, other.wait_fd_);
  return *this;
}

Process::~Process() {
  for (int fd : {pidfd_, wait_fd_}) {
    if (fd >= 0) ::close(fd);
  }
}

Task<ExitStatus> Process::wait() {
  int own = ::fcntl(wait_fd_, F_DUPFD_CLOEXEC, 0);
  if (own < 0) throw Error(Code::internal, "No file descriptor is left.");
  asio::posix::stream_descriptor descriptor(co_await asio::this_coro::executor, own);
  co_await descriptor.async_wait(asio::posix::stream_descriptor::wait_read, asio::use_awaitable);
  siginfo_t info = {};
  int result;
  do {
    result = ::waitid(P_PIDFD, static_cast<id_t>(own), &info, WEXITED);
  } while (result != 0 && errno == EINTR);
  if (result != 0)
    throw Error(Code::internal, "Process " + std::to_string(pid_) + " was reaped by somebody else.");
  if (info.si_code == CLD_EXITED) co_return ExitStatus{info.si_status, 0};
  co_return ExitStatus{0, info.si_status};
}

bool Process::signal(int number) const noexcept {
  return pidfd_ >= 0 && ::syscall(SYS_pidfd_send_signal, pidfd_, number, nullptr, 0) == 0;
}

bool Process::signal_group(int number) const noexcept { return pid_ > 0 && ::kill(-pid_, number) == 0; }

}  // namespace terrane::net
