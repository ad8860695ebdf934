#include "net/process.h"

#include <csignal>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>

#include "base/error.h"

namespace terrane::net {
namespace {

using testing::HasSubstr;
using namespace std::chrono_literals;

/// Runs one coroutine on an executor of its own until everything it started has ended.
template <class T>
T run(Task<T> task) {
  boost::asio::io_context context(1);
  std::optional<T> result;
  std::exception_ptr failure;
  auto keep = [](Task<T> inner, std::optional<T>& into) -> Task<> {
    into.emplace(co_await std::move(inner));
  };
  spawn(context.get_executor(), keep(std::move(task), result), [&](std::exception_ptr e) { failure = e; });
  context.run();
  if (failure) std::rethrow_exception(failure);
  return std::move(*result);
}

Captured shell(std::string script, std::string input = "", Clock::duration limit = 20s) {
  ProcessOptions options;
  options.argv = {"/bin/sh", "-c", std::move(script)};
  options.environment = {{"PATH", "/usr/bin:/bin"}};
  return run(run_captured(options, std::move(input), limit));
}

std::string start_error(const ProcessOptions& options) {
  try {
    Process::start(options);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::internal);
    return error.detail();
  }
  return "started";
}

TEST(Process, CapturesOutputErrorsAndStatus) {
  Captured result = shell("cat; echo bad >&2; exit 3", "hello");
  EXPECT_EQ(result.output, "hello");
  EXPECT_EQ(result.errors, "bad\n");
  EXPECT_EQ(result.status.code, 3);
  EXPECT_FALSE(result.status.success());
}

TEST(Process, TellsTheSignalThatEndedIt) {
  Captured result = shell("kill -9 $$");
  EXPECT_EQ(result.status.signal, SIGKILL);
}

TEST(Process, MovesLargeInputAndOutputAtOnce) {
  std::string megabytes(3 * 1024 * 1024, 'x');
  EXPECT_EQ(shell("cat", megabytes).output, megabytes);
  EXPECT_TRUE(shell("exit 0", megabytes).status.success());
}

TEST(Process, DropsOutputAboveTheLimit) {
  EXPECT_EQ(shell("head -c 6000000 /dev/zero").output.size(), 4u * 1024 * 1024);
}

TEST(Process, InheritsNothingButWhatIsGiven) {
  int leak = ::open("/etc/hostname", O_RDONLY);  // without close-on-exec, on purpose
  ASSERT_GE(leak, 0);
  ::setenv("TERRANE_LEAK", "1", 1);
  Captured result = shell(
      "ls /proc/$$/fd | tr '\\n' ' '; env | grep -c LEAK; ulimit -c; pwd; "
      // In the shell's own place: while a shell starts a child it may block signals for a moment.
      "exec grep -E 'Sig(Blk|Ign)' /proc/self/status");
  ::close(leak);
  EXPECT_THAT(result.output, testing::StartsWith("0 1 2 "));
  EXPECT_THAT(result.output, HasSubstr("0\n0\n/\n")) << result.output;
  EXPECT_THAT(result.output, HasSubstr("SigBlk:\t0000000000000000"));
  EXPECT_THAT(result.output, HasSubstr("SigIgn:\t0000000000000000"));
}

TEST(Process, PassesFilesAtTheirNumbersEvenWhenTheyCross) {
  int first[2];
  int second[2];
  ASSERT_EQ(::pipe2(first, O_CLOEXEC), 0);
  ASSERT_EQ(::pipe2(second, O_CLOEXEC), 0);
  ProcessOptions options;
  options.argv = {"/bin/sh", "-c",
                  "echo A >&" + std::to_string(second[1]) + "; echo B >&" + std::to_string(first[1])};
  options.files = {{first[1], second[1]}, {second[1], first[1]}};  // each at the other's number
  Process process = Process::start(options);
  EXPECT_TRUE(run(process.wait()).success());
  char bytes[8] = {};
  EXPECT_EQ(::read(first[0], bytes, sizeof bytes), 2);
  EXPECT_EQ(bytes[0], 'A');
  EXPECT_EQ(::read(second[0], bytes, sizeof bytes), 2);
  EXPECT_EQ(bytes[0], 'B');
  for (int fd : {first[0], first[1], second[0], second[1]}) ::close(fd);
}

TEST(Process, NamesTheStepThatFailed) {
  ProcessOptions options;
  options.argv = {"/nonexistent/program"};
  EXPECT_EQ(start_error(options),
            "/nonexistent/program could not be started: exec: No such file or directory.");
  options.argv = {"/bin/true"};
  options.directory = "/nonexistent";
  EXPECT_THAT(start_error(options), HasSubstr("chdir: No such file"));
  options.directory = "/";
  options.files = {{9999, 5}};
  EXPECT_THAT(start_error(options), HasSubstr("dup of files: Bad file"));
  options.argv = {"true"};
  EXPECT_THAT(start_error(options), HasSubstr("absolute"));
}

TEST(Process, ChangesUserGroupAndGroups) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  ProcessOptions options;
  options.argv = {"/usr/bin/id"};
  options.uid = 65534;
  options.gid = 65533;
  options.groups = {65532};
  Captured result = run(run_captured(options, "", 10s));
  EXPECT_THAT(result.output, HasSubstr("uid=65534"));
  EXPECT_THAT(result.output, HasSubstr("gid=65533"));
  EXPECT_THAT(result.output, HasSubstr("65532"));
}

TEST(Process, KillsTheWholeGroupAtTheLimit) {
  std::filesystem::path mark =
      std::filesystem::temp_directory_path() / ("process_test." + std::to_string(::getpid()));
  EXPECT_THROW(shell("sleep 60 & echo $! > " + mark.string() + "; wait", "", 500ms), Error);
  FILE* file = std::fopen(mark.c_str(), "r");
  ASSERT_NE(file, nullptr);
  int grandchild = 0;
  EXPECT_EQ(std::fscanf(file, "%d", &grandchild), 1);
  std::fclose(file);
  std::filesystem::remove(mark);
  // Orphans are reaped by init or, in a container without one, stay as zombies: dead is what matters.
  auto last = Clock::now() + 5s;
  std::string state;
  do {
    state = shell("grep -s State /proc/" + std::to_string(grandchild) + "/status").output;
  } while (!state.empty() && state.find('Z') == std::string::npos && Clock::now() < last);
  EXPECT_TRUE(state.empty() || state.find('Z') != std::string::npos) << state;
}

TEST(Process, DoesNotWaitForADaemonThatKeepsThePipe) {
  auto before = Clock::now();
  Captured result = shell("echo ready; sleep 30 & echo $! >&2; exit 0");
  EXPECT_EQ(result.output, "ready\n");
  EXPECT_LT(Clock::now() - before, 10s);
  ::kill(std::stoi(result.errors), SIGKILL);
}

TEST(Process, SignalsItAndItsGroup) {
  ProcessOptions options;
  options.argv = {"/bin/sleep", "60"};
  Process one = Process::start(options);
  EXPECT_TRUE(one.signal(SIGTERM));
  EXPECT_EQ(run(one.wait()).signal, SIGTERM);
  EXPECT_FALSE(one.signal(SIGTERM));
  Process other = Process::start(options);
  EXPECT_TRUE(other.signal_group(SIGINT));
  EXPECT_EQ(run(other.wait()).signal, SIGINT);
  EXPECT_FALSE(other.signal_group(SIGINT));
}

TEST(Process, DiesWithItsParent) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  pid_t parent = ::fork();
  if (parent == 0) {
    ProcessOptions options;
    options.argv = {"/bin/sleep", "60"};
    options.files = {{ends[1], 1}};
    options.die_with_parent = true;
    Process child = Process::start(options);
    ::kill(::getpid(), SIGKILL);
  }
  ::close(ends[1]);
  int status = 0;
  ASSERT_EQ(::waitpid(parent, &status, 0), parent);
  char byte;
  EXPECT_EQ(::read(ends[0], &byte, 1), 0);  // the child held the other end: it is gone
  ::close(ends[0]);
}

/// Whether everybody who held the pipe's writing end has ended within 10 s.
bool all_ended(int reading) {
  pollfd end = {reading, 0, 0};  // only the hang-up is asked for
  return ::poll(&end, 1, 10'000) == 1 && (end.revents & POLLHUP) != 0;
}

/// Starts `script` guarded in a process that is then killed without warning, once the script has written
/// "up". Returns the pipe that script and descendants hold.
int orphan(const std::string& script, Guard guard) {
  int ends[2];
  EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  pid_t parent = ::fork();
  if (parent == 0) {
    ProcessOptions options;
    options.argv = {"/bin/sh", "-c", script};
    options.environment = {{"PATH", "/usr/bin:/bin"}};
    options.files = {{ends[1], 1}};
    options.guard = guard;
    Process child = Process::start(options);
    ::close(ends[1]);
    while (true) ::pause();
  }
  ::close(ends[1]);
  char text[2];
  EXPECT_EQ(::read(ends[0], text, 2), 2);
  ::kill(parent, SIGKILL);
  int status = 0;
  EXPECT_EQ(::waitpid(parent, &status, 0), parent);
  return ends[0];
}

TEST(Guard, PassesTheExitStatusOn) {
  ProcessOptions options;
  options.guard = Guard{};
  for (auto [script, status] : {std::pair{"exit 7", ExitStatus{7, 0}},
                                {"kill -9 $$", ExitStatus{0, SIGKILL}},
                                {"exit 0", ExitStatus{}}}) {
    options.argv = {"/bin/sh", "-c", script};
    ExitStatus ended = run(Process::start(options).wait());
    EXPECT_EQ(ended.code, status.code);
    EXPECT_EQ(ended.signal, status.signal);
  }
  options.argv = {"/nonexistent"};
  EXPECT_THAT(start_error(options), HasSubstr("exec: No such file"));
}

TEST(Guard, ProcessSpeaksOfTheProgram) {
  ProcessOptions options;
  options.guard = Guard{};
  options.argv = {"/bin/sh", "-c", "echo $$; exec sleep 60"};
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  options.files = {{ends[1], 1}};
  Process process = Process::start(options);
  ::close(ends[1]);
  char text[16] = {};
  EXPECT_GT(::read(ends[0], text, sizeof text - 1), 0);
  EXPECT_EQ(std::stoi(text), process.pid());
  EXPECT_TRUE(process.signal(SIGINT));
  EXPECT_EQ(run(process.wait()).signal, SIGINT);
  EXPECT_FALSE(process.signal(SIGINT));
  ::close(ends[0]);
}

TEST(Guard, EndsTheWholeTreeWithTheProgram) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  ProcessOptions options;
  options.guard = Guard{.whole_tree = true};
  options.environment = {{"PATH", "/usr/bin:/bin"}};
  options.argv = {"/bin/sh", "-c", "trap '' TERM; sleep 60 & setsid sh -c 'sleep 61 & sleep 62' & exit 3"};
  options.files = {{ends[1], 1}};
  Process process = Process::start(options);
  ::close(ends[1]);
  EXPECT_EQ(run(process.wait()).code, 3);
  EXPECT_TRUE(all_ended(ends[0]));
  ::close(ends[0]);
}

TEST(Guard, EndsTheTreeWhenTheParentIsKilled) {
  int pipe = orphan(
      "trap '' TERM INT HUP; (setsid sh -c 'sleep 60 & sleep 61' &) ; sleep 62 & echo -n up; wait; sleep 63",
      {.whole_tree = true, .stop_limit = 100ms});
  EXPECT_TRUE(all_ended(pipe));
  ::close(pipe);
}

TEST(Guard, StopsTheProgramByItsSignalWhenTheParentIsKilled) {
  int pipe = orphan("trap 'echo -n stopped; exit' INT; echo -n up; while :; do sleep 0.01; done",
                    {.stop_signal = SIGINT});
  std::string text(16, 0);
  EXPECT_EQ(::read(pipe, text.data(), text.size()), 7);
  EXPECT_EQ(text.substr(0, 7), "stopped");
  EXPECT_TRUE(all_ended(pipe));
  ::close(pipe);
}

TEST(Guard, LeavesOtherSessionsAloneWithoutWholeTree) {
  int pipe = orphan("setsid sh -c 'echo up$$; exec sleep 60' & exec sleep 61 >/dev/null", {});
  std::string text(16, 0);
  EXPECT_GT(::read(pipe, text.data(), text.size()), 0);
  pid_t survivor = std::stoi(text);
  pollfd end = {pipe, 0, 0};
  EXPECT_EQ(::poll(&end, 1, 300), 0) << "the session of its own still holds the pipe";
  ::kill(survivor, SIGKILL);
  EXPECT_TRUE(all_ended(pipe));
  ::close(pipe);
}

TEST(Guard, KeepsADescriptorUntilAllIsOver) {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("guard_test." + std::to_string(::getpid()));
  int lock = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  ASSERT_EQ(::flock(lock, LOCK_EX | LOCK_NB), 0);
  ProcessOptions options;
  options.argv = {"/bin/sleep", "60"};
  options.guard = Guard{.keep_open = lock};
  Process process = Process::start(options);
  ::close(lock);
  int other = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  EXPECT_NE(::flock(other, LOCK_EX | LOCK_NB), 0);
  process.signal(SIGKILL);
  run(process.wait());
  EXPECT_EQ(::flock(other, LOCK_EX | LOCK_NB), 0);
  ::close(other);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace terrane::net
