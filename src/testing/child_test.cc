#include "testing/child.h"

#include <csignal>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "testing/run.h"

namespace terrane::testing {
namespace {

bool within_seconds(int seconds, const std::function<bool()>& condition) {
  auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

bool alive(pid_t process) {
  std::ifstream status("/proc/" + std::to_string(process) + "/stat");
  std::string line;
  return std::getline(status, line) && line.find(") Z ") == std::string::npos;
}

Child sleeper(const TestDirectory& directory) {
  return Child({.argv = {"/bin/sh", "-c", "sleep 600 & echo $! > pid; wait"}, .directory = directory.path()});
}

pid_t written_pid(const TestDirectory& directory) {
  pid_t found = 0;
  within_seconds(5, [&] { return static_cast<bool>(std::ifstream(directory.path() / "pid") >> found); });
  return found;
}

TEST(TestDirectory, GoesWithItsProcessesWhenTheTestIsKilled) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  struct Report {
    char path[200] = {};
    pid_t process = 0;
  } report;
  pid_t test = fork();
  if (test == 0) {
    TestDirectory directory("child-test", "");
    Child child = sleeper(directory);
    directory.adopt_group(child.pid());
    directory.path().string().copy(report.path, sizeof report.path - 1);
    report.process = written_pid(directory);
    if (write(ends[1], &report, sizeof report) != sizeof report) _exit(1);
    raise(SIGKILL);
  }
  ASSERT_EQ(read(ends[0], &report, sizeof report), static_cast<ssize_t>(sizeof report));
  waitpid(test, nullptr, 0);
  EXPECT_GT(report.process, 0);
  EXPECT_TRUE(within_seconds(10, [&] { return !std::filesystem::exists(report.path); }));
  EXPECT_TRUE(within_seconds(5, [&] { return !alive(report.process); }));
}

TEST(Child, EndsWithItsGroupWhenItIsDestroyed) {
  TestDirectory directory("child-test", "");
  pid_t process = 0;
  {
    Child child = sleeper(directory);
    process = written_pid(directory);
    EXPECT_TRUE(child.running());
    EXPECT_TRUE(alive(process));
  }
  EXPECT_TRUE(within_seconds(5, [&] { return !alive(process); }));
}

TEST(Child, TellsHowItsProgramEnded) {
  TestDirectory directory("child-test", "");
  std::filesystem::path log = directory.path() / "log";
  EXPECT_EQ(Child({.argv = {"/bin/sh", "-c", "exit 3"}, .directory = "/"}).wait(5), 3);
  EXPECT_EQ(Child({.argv = {"/bin/sh", "-c", "kill -9 $$"}, .directory = "/"}).wait(5), 128 + SIGKILL);
  EXPECT_EQ(Child({.argv = {"/nonexistent"}, .directory = "/"}).wait(5), 127);
  try {
    run_program({.argv = {"/bin/sh", "-c", "echo the reason; exit 1"}, .directory = "/", .log = log});
    ADD_FAILURE() << "a failed program was taken for a good one";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("the reason"));
  }
}

TEST(RunTask, RethrowsAndEndsWhatDoesNot) {
  EXPECT_THROW(run_task([](net::Executor) -> Task<> {
                 throw std::logic_error("body");
                 co_return;
               }),
               std::logic_error);
  auto endless = [](net::Executor) -> Task<> { co_await net::sleep_for(std::chrono::hours(1)); };
  EXPECT_THROW(run_task(endless, std::chrono::seconds(1)), std::runtime_error);
}

}  // namespace
}  // namespace terrane::testing
