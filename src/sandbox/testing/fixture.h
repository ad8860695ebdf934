#pragma once
#include <atomic>
#include <dirent.h>
#include <fcntl.h>
#include <fstream>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "sandbox/broker_client.h"
#include "sandbox/cgroup.h"
#include "sandbox/descriptor.h"
#include "sandbox/processes.h"

namespace terrane::sandbox {

/// A broker of its own in a temporary directory, with its own cgroups and uids. Phases run the shim of
/// testing/program.cc.
class SandboxTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root: it makes cgroups, mounts and uids";
    if (access("/usr/bin/bwrap", X_OK) != 0) GTEST_SKIP() << "needs bubblewrap";
    char name[] = "/tmp/terrane-sandbox-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    directory_ = name;
    chmod(name, 0711);
    static std::atomic<int> number = 0;
    installation_ = "test-" + std::to_string(getpid()) + "-" + std::to_string(++number);
    if (!Cgroups(installation_).limits())
      GTEST_SKIP() << "needs writable cgroups: " << Cgroups(installation_).why_not();
    options_ = {{"socket", socket().string()},
                {"root", (directory_ / "run").string()},
                {"installation", installation_},
                {"worker_uid", worker},
                {"binary", SANDBOX_PROGRAM},
                {"first_uid", first_uid()},
                {"network_pool", 0},
                {"unreachable", json::array{}},
                {"after_grace", 1}};
    mkdir(spool().c_str(), 0700);
    ASSERT_EQ(chown(spool().c_str(), worker, worker), 0);
  }

  void TearDown() override {
    if (directory_.empty()) return;
    if (broker_ > 0) {
      try {
        for (const PhaseInfo& info : list()) {
          if (info.shim_alive) kill(info.shim, SIGKILL);
          await(client().kill(info.phase));
        }
      } catch (const std::exception&) {
      }
      stop_broker(SIGTERM);
    }
    for (std::uint32_t i = 0; i < 20; ++i) {
      if (processes_by_uid().contains(first_uid() + i)) kill_all_of(first_uid() + i);
    }
    umount2((directory_ / "run/runs").c_str(), MNT_DETACH);
    Cgroups cgroups(installation_);
    for (const std::string& name : cgroups.names()) {
      PhaseCgroups all = cgroups.of(name);
      eventually([&] {
        kill_processes(all.run);
        kill_processes(all.shim);
        return cgroups.remove(all);
      });
    }
    for (const std::filesystem::path& path : cgroups.of("x").phase) rmdir(path.parent_path().c_str());
    std::filesystem::remove_all(directory_);
  }

  static constexpr uid_t worker = 1900000001;
  uid_t first_uid() const { return 1910000000u + static_cast<uid_t>(getpid() % 100000) * 20; }
  std::filesystem::path socket() const { return directory_ / "broker.sock"; }
  std::filesystem::path spool() const { return directory_ / "spool"; }
  BrokerClient client() const { return BrokerClient(socket()); }

  void start_broker() {
    std::string text = json::serialize(options_);
    broker_ = fork();
    ASSERT_GE(broker_, 0);
    if (broker_ == 0) {
      setpgid(0, 0);
      if (without_cgroups_ && !hide_cgroups()) _exit(126);
      if (broker_network_ && setns(broker_network_.get(), CLONE_NEWNET) != 0) _exit(126);
      execl(SANDBOX_PROGRAM, SANDBOX_PROGRAM, "broker", text.c_str(), nullptr);
      _exit(127);
    }
    ASSERT_TRUE(eventually([&] { return answers(); })) << "the broker does not answer";
  }

  /// The broker's exit status, as waitpid gives it.
  int stop_broker(int signal) {
    int status = 0;
    kill(broker_, signal);
    waitpid(broker_, &status, 0);
    broker_ = -1;
    return status;
  }

  bool answers() const {
    try {
      await(client().list());
      return true;
    } catch (const Error&) {
      return false;
    }
  }

  /// Runs a coroutine on a context of its own to its end.
  template <class T>
  static T await(Task<T> task) {
    boost::asio::io_context context(1);
    std::optional<T> result;
    std::exception_ptr failure;
    boost::asio::co_spawn(context, std::move(task), [&](std::exception_ptr error, T value) {
      failure = error;
      if (!error) result.emplace(std::move(value));
    });
    context.run();
    if (failure) std::rethrow_exception(failure);
    return std::move(*result);
  }
  static void await(Task<> task) {
    boost::asio::io_context context(1);
    std::exception_ptr failure;
    boost::asio::co_spawn(context, std::move(task), [&](std::exception_ptr error) { failure = error; });
    context.run();
    if (failure) std::rethrow_exception(failure);
  }

  /// Waits for a condition, at most `seconds`.
  static bool eventually(const std::function<bool()>& condition, int seconds = 15) {
    auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
  }

  std::vector<PhaseInfo> list() const { return await(client().list()); }

  std::optional<PhaseInfo> info(const std::string& phase) const {
    for (PhaseInfo& entry : list()) {
      if (entry.phase == phase) return std::move(entry);
    }
    return std::nullopt;
  }

  static PhaseRequest request(const std::string& run, const std::string& phase) {
    PhaseRequest wanted;
    wanted.run = run;
    wanted.phase = phase;
    wanted.memory_bytes = 256 << 20;
    wanted.tmpfs_bytes = 64 << 20;
    wanted.processes = 64;
    wanted.network = false;
    wanted.grace = std::chrono::seconds(5);
    return wanted;
  }

  /// Starts a phase whose shim does the job; its spool is SPOOL/PHASE.
  StartedShim start(PhaseRequest wanted, const json::object& job) const {
    wanted.spool = spool() / wanted.phase;
    mkdir(wanted.spool.c_str(), 0700);
    if (chown(wanted.spool.c_str(), worker, worker) != 0) fail("chown");
    Descriptor file = make_memory_file(json::serialize(job));
    wanted.job = file.get();
    return await(client().start_phase(wanted));
  }

  /// A document that a phase's shim wrote into its spool.
  std::optional<json::object> document(const std::string& phase, const char* name) const {
    std::optional<std::string> text = read_small_file(spool() / phase / name);
    if (!text) return std::nullopt;
    return parse_json(*text).as_object();
  }

  /// Waits until the phase is over, and returns what came of it.
  json::object outcome(const std::string& phase) const {
    bool there = eventually([&] { return document(phase, "outcome.json").has_value(); });
    EXPECT_TRUE(there) << "the phase did not end";
    return there ? *document(phase, "outcome.json") : json::object{};
  }

  /// A job of commands in a shell.
  static json::object shell(std::initializer_list<std::string> scripts) {
    json::array commands;
    for (const std::string& script : scripts) {
      commands.push_back(
          json::object{{"argv", {"/bin/sh", "-c", script}}, {"environment", {{"PATH", "/usr/bin:/bin"}}}});
    }
    return {{"commands", std::move(commands)}};
  }

  /// Runs one phase of one shell script to its end; its first command's result.
  json::object run_script(const std::string& script) const {
    std::string phase = "phase-" + std::to_string(++phases_);
    start(request("run-" + phase, phase), shell({script}));
    return first(outcome(phase));
  }

  /// The result of the first command of an outcome.
  static json::object first(const json::object& outcome) {
    const json::array* commands = find_array(outcome, "commands");
    bool there = commands && !commands->empty();
    EXPECT_TRUE(there) << json::serialize(outcome);
    return there ? commands->front().as_object()
                 : json::object{{"output", ""}, {"code", -1}, {"signal", -1}, {"lost", true}};
  }
  static std::string output(const json::object& result) { return find_string(result, "output").value_or(""); }

  /// In the broker's process: a view of the machine in which no cgroup can be written.
  static bool hide_cgroups() {
    return unshare(CLONE_NEWNS) == 0 && mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
           umount2("/sys/fs/cgroup", MNT_DETACH) == 0;
  }

  std::filesystem::path directory_;
  std::string installation_;
  json::object options_;
  pid_t broker_ = -1;
  bool without_cgroups_ = false;
  Descriptor broker_network_;  ///< where the broker is started, instead of here
  mutable int phases_ = 0;
};

}  // namespace terrane::sandbox
