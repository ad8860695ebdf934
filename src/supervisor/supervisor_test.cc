#include "supervisor/supervisor.h"

#include <csignal>
#include <fcntl.h>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sstream>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>

#include "base/error.h"
#include "supervisor/lock.h"

namespace terrane::supervisor {
namespace {

using net::Clock;
using testing::AllOf;
using testing::HasSubstr;
using namespace std::chrono_literals;

/// A directory of its own for each test, and services that are shell scripts in it.
class SupervisorTest : public testing::Test {
 protected:
  SupervisorTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "supervisor_test.XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
    options_.log_directory = directory_;
    options_.pace.ask_first = 2ms;
    options_.pace.ask_last = 5ms;
    options_.pace.alive_every = 10ms;
    options_.pace.first_pause = 20ms;
    options_.pace.last_pause = 80ms;
  }
  ~SupervisorTest() override { std::filesystem::remove_all(directory_); }

  /// A service that runs `script` in the directory and is ready when the script has made NAME.up.
  ServiceSpec service(const std::string& name, const std::string& script,
                      std::vector<std::string> after = {}) {
    ServiceSpec spec;
    spec.name = name;
    spec.process.argv = {"/bin/sh", "-c", script};
    spec.process.environment = {{"PATH", "/usr/bin:/bin"}, {"NAME", name}};
    spec.process.directory = directory_;
    spec.after = std::move(after);
    spec.ready_limit = 20s;
    spec.ready = [up = directory_ / (name + ".up")]() -> Task<bool> {
      co_return std::filesystem::exists(up);
    };
    spec.before_start = [up = directory_ / (name + ".up")]() -> Task<> {
      std::filesystem::remove(up);
      co_return;
    };
    return spec;
  }
  /// What a script does that runs until it is told to stop, and notes both in the journal.
  static constexpr const char* steady =
      "trap 'echo stop $NAME >> journal; exit 0' TERM; echo start $NAME >> journal; touch $NAME.up; while :; "
      "do sleep 0.01; done";

  void run(Task<> task) {
    std::exception_ptr failure;
    bool ended = false;
    net::spawn(context_.get_executor(), std::move(task), [&](std::exception_ptr e) {
      failure = e;
      ended = true;
    });
    context_.restart();
    while (!ended && context_.run_one_for(60s) > 0) {
    }
    ASSERT_TRUE(ended) << "nothing happened for a minute";
    if (failure) std::rethrow_exception(failure);
  }
  /// Runs until `condition` holds, at most 20 s.
  testing::AssertionResult eventually(std::function<bool()> condition) {
    auto last = Clock::now() + 20s;
    while (!condition()) {
      if (Clock::now() > last) return testing::AssertionFailure() << "it did not come about";
      context_.restart();
      context_.run_one_for(10ms);
    }
    return testing::AssertionSuccess();
  }
  std::string journal() {
    std::ostringstream text;
    text << std::ifstream(directory_ / "journal").rdbuf();
    return text.str();
  }
  Status status(const Supervisor& supervisor, const std::string& name) {
    for (const Status& one : supervisor.status()) {
      if (one.name == name) return one;
    }
    return {};
  }
  std::string start_failure(Supervisor& supervisor) {
    try {
      run(supervisor.start_all());
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::unavailable);
      return error.detail();
    }
    return "";
  }

  std::filesystem::path directory_;
  SupervisorOptions options_;
  boost::asio::io_context context_;
};

TEST_F(SupervisorTest, StartsInOrderAndStopsInReverse) {
  Supervisor supervisor(context_.get_executor(),
                        {service("c", steady, {"b"}), service("a", steady), service("b", steady, {"a"})},
                        options_);
  run(supervisor.start_all());
  EXPECT_EQ(journal(), "start a\nstart b\nstart c\n");
  for (const Status& one : supervisor.status()) {
    EXPECT_EQ(one.state, State::ready);
    EXPECT_EQ(::kill(one.pid, 0), 0);
  }
  run(supervisor.stop_all());
  EXPECT_EQ(journal(), "start a\nstart b\nstart c\nstop c\nstop b\nstop a\n");
  for (const Status& one : supervisor.status()) {
    EXPECT_EQ(one.state, State::stopped);
    EXPECT_EQ(one.pid, 0);
    ASSERT_TRUE(one.last_exit);
    EXPECT_TRUE(one.last_exit->success());
  }
}

TEST_F(SupervisorTest, StartsIndependentServicesAtOnce) {
  // Each is ready only when the other runs.
  Supervisor supervisor(
      context_.get_executor(),
      {service("a", "touch a.here; until [ -e b.here ]; do sleep 0.01; done; touch a.up; exec sleep 60"),
       service("b", "touch b.here; until [ -e a.here ]; do sleep 0.01; done; touch b.up; exec sleep 60")},
      options_);
  run(supervisor.start_all());
  run(supervisor.stop_all());
}

TEST_F(SupervisorTest, RestartsWhatIsKilled) {
  Supervisor supervisor(context_.get_executor(), {service("a", steady), service("b", steady)}, options_);
  run(supervisor.start_all());
  Status before = status(supervisor, "a");
  Status other = status(supervisor, "b");
  ::kill(before.pid, SIGKILL);
  EXPECT_TRUE(eventually([&] {
    return status(supervisor, "a").restarts == 1 && status(supervisor, "a").state == State::ready;
  }));
  EXPECT_NE(status(supervisor, "a").pid, before.pid);
  EXPECT_EQ(status(supervisor, "a").last_exit->signal, SIGKILL);
  EXPECT_EQ(status(supervisor, "b").pid, other.pid);
  run(supervisor.stop_all());
}

TEST_F(SupervisorTest, PausesLongerAndLongerBeforeRestarts) {
  // After its first life it never becomes ready again.
  Supervisor supervisor(context_.get_executor(),
                        {service("a", "[ -e once ] && exit 1; touch once a.up; exec sleep 60")}, options_);
  run(supervisor.start_all());
  auto before = Clock::now();
  ::kill(status(supervisor, "a").pid, SIGKILL);
  EXPECT_TRUE(eventually([&] { return status(supervisor, "a").restarts == 4; }));
  EXPECT_GE(Clock::now() - before, 20ms + 40ms + 80ms + 80ms);
  EXPECT_EQ(status(supervisor, "a").last_exit->code, 1);
  run(supervisor.stop_all());
}

TEST_F(SupervisorTest, KillsWhatDoesNotStopInTime) {
  ServiceSpec stubborn = service("a", "trap '' TERM; touch a.up; while :; do sleep 0.01; done");
  stubborn.stop_limit = 1s;
  Supervisor supervisor(context_.get_executor(), {stubborn}, options_);
  run(supervisor.start_all());
  auto before = Clock::now();
  run(supervisor.stop_all());
  EXPECT_GE(Clock::now() - before, 1s);
  EXPECT_EQ(status(supervisor, "a").last_exit->signal, SIGKILL);
}

TEST_F(SupervisorTest, StopsByTheServicesOwnSignalAndWithItsGroup) {
  // The shell itself ignores the signal and ends when its child, which the group's signal reaches, has ended.
  ServiceSpec group = service(
      "a",
      "bash -c 'trap \"echo child >> journal; exit\" USR2; touch a.up; while :; do sleep 0.01; done' & "
      "trap : USR2; wait $!; wait $!; exit 0");
  group.stop_signal = SIGUSR2;
  group.group_kill = true;
  Supervisor supervisor(context_.get_executor(), {group}, options_);
  run(supervisor.start_all());
  run(supervisor.stop_all());
  EXPECT_EQ(journal(), "child\n");
  EXPECT_EQ(status(supervisor, "a").last_exit->signal, 0);
}

TEST_F(SupervisorTest, FailedStartNamesTheServiceAndShowsItsLog) {
  Supervisor supervisor(
      context_.get_executor(),
      {service("good", steady), service("bad", "echo the disk is square >&2; exit 3", {"good"})}, options_);
  EXPECT_THAT(start_failure(supervisor),
              AllOf(HasSubstr("Service bad ended with status 3"), HasSubstr("the disk is square")));
  EXPECT_EQ(status(supervisor, "bad").state, State::failed);
  EXPECT_EQ(status(supervisor, "good").state, State::ready);
  run(supervisor.stop_all());
  EXPECT_EQ(status(supervisor, "good").state, State::stopped);
}

TEST_F(SupervisorTest, FailedStartTellsWhatCannotBeStarted) {
  ServiceSpec spec = service("a", "");
  spec.process.argv = {"/nonexistent/program"};
  Supervisor supervisor(context_.get_executor(), {spec}, options_);
  EXPECT_THAT(start_failure(supervisor),
              HasSubstr("Service a did not start: /nonexistent/program could not be started: exec"));
  run(supervisor.stop_all());
}

TEST_F(SupervisorTest, WhatIsNotReadyInTimeFails) {
  ServiceSpec slow = service("a", "exec sleep 60");
  slow.ready_limit = 1s;
  Supervisor supervisor(context_.get_executor(), {slow, service("b", steady, {"a"})}, options_);
  EXPECT_THAT(start_failure(supervisor), HasSubstr("Service a was not ready within 1 s"));
  run(supervisor.stop_all());
  EXPECT_EQ(journal(), "");  // b was never started
}

TEST_F(SupervisorTest, ReplacesWhatGivesNoSignOfLife) {
  ServiceSpec spec = service("a", steady);
  int asked = 0;
  spec.ready = [&asked, up = directory_ / "a.up"]() -> Task<bool> {
    if (!std::filesystem::exists(up)) co_return false;
    ++asked;
    if (asked == 2) throw Error(Code::unavailable, "one no is no reason");
    co_return asked < 4 || asked > 6;
  };
  Supervisor supervisor(context_.get_executor(), {spec}, options_);
  run(supervisor.start_all());
  EXPECT_TRUE(eventually([&] {
    return status(supervisor, "a").restarts == 1 && status(supervisor, "a").state == State::ready;
  }));
  EXPECT_EQ(status(supervisor, "a").last_exit->signal, SIGKILL);
  EXPECT_GE(asked, 7);
  run(supervisor.stop_all());
}

TEST_F(SupervisorTest, RestartsOnRequestWithoutAPause) {
  ServiceSpec spec = service("a", steady);
  int stopped = 0;
  spec.after_stop = [&stopped]() -> Task<> {
    ++stopped;
    co_return;
  };
  options_.pace.first_pause = 60s;
  Supervisor supervisor(context_.get_executor(), {spec}, options_);
  run(supervisor.start_all());
  pid_t before = status(supervisor, "a").pid;
  run(supervisor.restart("a"));
  EXPECT_EQ(status(supervisor, "a").state, State::ready);
  EXPECT_NE(status(supervisor, "a").pid, before);
  EXPECT_EQ(stopped, 1);
  EXPECT_EQ(journal(), "start a\nstop a\nstart a\n");
  EXPECT_THROW(run(supervisor.restart("b")), Error);
  run(supervisor.stop_all());
  EXPECT_EQ(stopped, 2);
  EXPECT_THROW(run(supervisor.restart("a")), Error);
}

TEST_F(SupervisorTest, StopsWhileItStartsAndCanStartAgain) {
  Supervisor supervisor(context_.get_executor(), {service("a", steady), service("b", "exec sleep 60", {"a"})},
                        options_);
  bool ended = false;
  net::spawn(context_.get_executor(), supervisor.start_all(),
             [&](std::exception_ptr failure) { ended = failure != nullptr; });
  EXPECT_TRUE(eventually([&] { return status(supervisor, "b").state == State::starting; }));
  run(supervisor.stop_all());
  EXPECT_TRUE(eventually([&] { return ended; }));
  EXPECT_EQ(status(supervisor, "a").state, State::stopped);

  Supervisor again(context_.get_executor(), {service("a", steady)}, options_);
  run(again.start_all());
  run(again.stop_all());
  run(again.start_all());
  EXPECT_EQ(status(again, "a").state, State::ready);
  run(again.stop_all());
}

TEST_F(SupervisorTest, RunEndsWithTheStop) {
  Supervisor supervisor(context_.get_executor(), {service("a", steady)}, options_);
  net::Stop stop(context_.get_executor());
  auto all = [](Supervisor& one, net::Stop& until) -> Task<> {
    co_await one.start_all();
    until.request();
    co_await one.run(until);
    co_await one.stop_all();
  };
  run(all(supervisor, stop));
  EXPECT_EQ(journal(), "start a\nstop a\n");
}

TEST_F(SupervisorTest, AppendsToTheLogAndRotatesALargeOne) {
  std::ofstream(directory_ / "a.log") << "before\n";
  auto say = [&] {
    Supervisor supervisor(context_.get_executor(),
                          {service("a", "echo out; echo err >&2; touch a.up; exec sleep 60")}, options_);
    run(supervisor.start_all());
    run(supervisor.stop_all());
  };
  auto log = [&] {
    std::ostringstream text;
    text << std::ifstream(directory_ / "a.log").rdbuf();
    return text.str().substr(0, 100);
  };
  say();
  EXPECT_EQ(log(), "before\nout\nerr\n");
  std::filesystem::resize_file(directory_ / "a.log", 64 * 1024 * 1024 + 1);
  say();
  EXPECT_EQ(log(), "out\nerr\n");
  EXPECT_EQ(std::filesystem::file_size(directory_ / "a.log.1"), 64u * 1024 * 1024 + 1);
}

TEST_F(SupervisorTest, RefusesDependenciesThatCannotBeMet) {
  auto refused = [&](std::vector<ServiceSpec> specs) {
    EXPECT_THROW(Supervisor(context_.get_executor(), std::move(specs), options_), Error);
  };
  refused({service("a", "", {"b"})});
  refused({service("a", ""), service("a", "")});
  refused({service("a", "", {"a"})});
  refused({service("a", "", {"c"}), service("b", "", {"a"}), service("c", "", {"b"})});
}

TEST_F(SupervisorTest, KillMinusNineLeavesNoChildAndFreesTheLock) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  pid_t serving = ::fork();
  if (serving == 0) {
    // The supervisor's process: two services that hold the pipe, one with grandchildren in another session
    // and without SIGTERM.
    boost::asio::io_context context;
    ServiceSpec plain_service = service("plain", "touch plain.up; sleep 60");
    ServiceSpec tree_service = service(
        "tree",
        "trap '' TERM; (setsid sh -c 'sleep 61 & sleep 62' &); sleep 63 & touch tree.up; wait; sleep 64");
    auto serve = [](std::filesystem::path directory, ServiceSpec plain, ServiceSpec tree,
                    net::Executor executor, int writing) -> Task<> {
      DirectoryLock lock = co_await DirectoryLock::take(directory, 1s);
      plain.process.files = tree.process.files = {{writing, 3}};
      plain.group_kill = tree.group_kill = true;
      tree.stop_limit = 1s;
      SupervisorOptions options;
      options.log_directory = directory;
      options.children_lock = lock.children();
      Supervisor supervisor(executor, {plain, tree}, options);
      co_await supervisor.start_all();
      std::ofstream(directory / "all.up") << "";
      co_await net::sleep_for(60s);
    };
    net::spawn(context.get_executor(), "serve",
               serve(directory_, plain_service, tree_service, context.get_executor(), ends[1]));
    context.run();
    ::_exit(0);
  }
  ::close(ends[1]);
  EXPECT_TRUE(eventually([&] { return std::filesystem::exists(directory_ / "all.up"); }));
  auto take = [](std::filesystem::path directory, net::Clock::duration limit) -> Task<> {
    co_await DirectoryLock::take(directory, limit);
  };
  try {
    run(take(directory_, 20s));
    ADD_FAILURE() << "the lock was given twice";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::conflict);
    EXPECT_THAT(error.detail(), HasSubstr("Process " + std::to_string(serving) + " already serves"));
  }
  ::kill(serving, SIGKILL);
  int status = 0;
  ASSERT_EQ(::waitpid(serving, &status, 0), serving);
  try {
    run(take(directory_, 0s));
    ADD_FAILURE() << "the lock was given while children were ending";
  } catch (const Error& error) {
    EXPECT_THAT(error.detail(), HasSubstr("still ending"));
  }
  EXPECT_NO_THROW(run(take(directory_, 20s)));
  // With the lock given, nobody holds the pipe any more.
  pollfd end = {ends[0], 0, 0};
  EXPECT_EQ(::poll(&end, 1, 0), 1);
  EXPECT_NE(end.revents & POLLHUP, 0);
  ::close(ends[0]);
}

TEST_F(SupervisorTest, LockSaysWhereItCannotStand) {
  auto take = [](std::filesystem::path directory) -> Task<> { co_await DirectoryLock::take(directory, 0s); };
  try {
    run(take("/nonexistent"));
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.detail(), HasSubstr("Cannot open /nonexistent/serve.lock: No such file"));
  }
}

}  // namespace
}  // namespace terrane::supervisor
