#pragma once
#include <cstdlib>
#include <grp.h>

#include "sandbox/testing/fixture.h"
#include "shim/durable.h"
#include "shim/testing/fake_api.h"

namespace terrane::worker {

using shim::FakeApi;
using shim::FakeJob;

/// A broker, a worker under an unprivileged user, a fake control plane, and the real engine.
class WorkerTest : public sandbox::SandboxTest {
 protected:
  void SetUp() override {
    SandboxTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    if (!std::filesystem::exists(store("TERRANE_ENGINE_STORE", "engines") / "manifest.json"))
      GTEST_SKIP() << "needs an engine store";
    mkdir(data().c_str(), 0700);
    ASSERT_EQ(chown(data().c_str(), worker, worker), 0);
    settings_ = {{"node", "node-1"},
                 {"api_port", api_.port()},
                 {"data", data().string()},
                 {"broker", socket().string()},
                 {"engines", store("TERRANE_ENGINE_STORE", "engines").string()},
                 {"providers", store("TERRANE_PROVIDER_STORE", "providers").string()},
                 {"capacity", 4},
                 {"look_ms", 50},
                 {"report_ms", 500},
                 {"grace", 5},
                 {"keep_count", 20}};
    start_broker();
  }

  void TearDown() override {
    stop_worker(SIGKILL);
    SandboxTest::TearDown();
  }

  static std::filesystem::path store(const char* variable, const char* name) {
    const char* given = std::getenv(variable);
    return given && *given ? std::filesystem::path(given)
                           : std::filesystem::path("/var/cache/terrane") / name;
  }
  std::filesystem::path data() const { return directory_ / "worker"; }
  std::filesystem::path spool_of(const std::string& job) const { return data() / "spool" / job; }

  void start_worker() {
    std::string text = json::serialize(settings_);
    worker_pid_ = fork();
    ASSERT_GE(worker_pid_, 0);
    if (worker_pid_ != 0) return;
    bool changed = setgroups(0, nullptr) == 0 && setgid(worker) == 0 && setuid(worker) == 0;
    if (changed) execl(SANDBOX_PROGRAM, SANDBOX_PROGRAM, "worker", text.c_str(), nullptr);
    _exit(127);
  }
  /// The status that waitpid gives; 0 when there is no worker.
  int stop_worker(int number) {
    int status = 0;
    if (worker_pid_ > 0) {
      kill(worker_pid_, number);
      waitpid(worker_pid_, &status, 0);
    }
    worker_pid_ = -1;
    return status;
  }

  /// Packs files (name to content) as a configuration and serves it at /inputs/NAME.
  std::string configuration(const std::string& name, const std::map<std::string, std::string>& files) {
    std::filesystem::path from = directory_ / ("conf-" + name);
    std::filesystem::create_directories(from);
    for (const auto& [file, text] : files) {
      std::filesystem::create_directories((from / file).parent_path());
      std::ofstream(from / file) << text;
    }
    std::filesystem::path to = directory_ / (name + ".tar.gz");
    std::string command = "tar -czf " + to.string() + " -C " + from.string() + " .";
    EXPECT_EQ(std::system(command.c_str()), 0);
    api_.serve("/inputs/" + name, *shim::read_file(to, 1 << 24));
    return "/inputs/" + name;
  }

  static worker_protocol::Job job(const std::string& id, const std::string& run, worker_protocol::Phase phase,
                                  const std::string& path) {
    worker_protocol::Job out;
    out.id = id;
    out.run = run;
    out.workspace = "ws-" + run;
    out.workspace_name = "prod";
    out.organization = "acme";
    out.lease = "lease-of-" + id;
    out.phase = phase;
    out.engine = "opentofu";
    out.engine_version = "1.12.6";
    out.configuration_path = path;
    out.log_object = "log-of-" + id;
    out.environment = {{"TFC_RUN_ID", run}};
    out.memory_bytes = 512 << 20;
    out.disk_bytes = 128 << 20;
    out.processes = 256;
    out.time_limit = std::chrono::seconds(60);
    return out;
  }

  /// Waits for the phase's end as the control plane sees it, at most `seconds`.
  FakeJob over(const std::string& id, int seconds = 30) {
    auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
    while (!api_.get(id).over() && std::chrono::steady_clock::now() < deadline)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    FakeJob found = api_.get(id);
    EXPECT_TRUE(found.over()) << id << " did not end; its log: " << api_.log_text(id);
    return found;
  }
  /// The same for a phase that its shim brought to an end itself.
  FakeJob finished(const std::string& id) {
    FakeJob found = over(id);
    EXPECT_TRUE(found.outcome) << "lost: " << (found.lost ? json::serialize(*found.lost) : "");
    if (found.outcome)
      EXPECT_EQ(found.outcome->ending, worker_protocol::Ending::finished)
          << found.outcome->error << api_.log_text(id);
    if (!found.outcome) found.outcome.emplace();
    return found;
  }
  bool log_has(const std::string& id, const std::string& text) {
    return eventually([&] { return api_.log_text(id).find(text) != std::string::npos; });
  }

  /// A plan of the configuration, brought to its end, and then its apply (not yet added).
  worker_protocol::Job planned(const std::string& run, const std::string& path) {
    api_.add(job("plan-" + run, run, worker_protocol::Phase::plan, path));
    FakeJob plan = finished("plan-" + run);
    std::string plan_path = "/inputs/plan-of-" + run;
    api_.serve(plan_path, plan.objects.contains(plan.outcome->plan_object)
                              ? api_.plaintext("plan-" + run, plan.outcome->plan_object)
                              : "");
    worker_protocol::Job apply = job("apply-" + run, run, worker_protocol::Phase::apply, path);
    apply.workspace = plan.job.workspace;
    apply.plan_path = plan_path;
    return apply;
  }

  std::optional<sandbox::PhaseInfo> phase_of(const std::string& id) const { return info(id + "-1"); }
  void kill_shim(const std::string& id) {
    std::optional<sandbox::PhaseInfo> phase = phase_of(id);
    ASSERT_TRUE(phase && phase->shim_alive);
    ASSERT_EQ(kill(phase->shim, SIGKILL), 0);
  }

  /// SIGKILL to the engine's process that runs this command; returns how many there were.
  int kill_engine(const std::string& command) const {
    int killed = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      std::string line = sandbox::read_small_file(entry.path() / "cmdline").value_or("");
      std::string wanted = std::string("/run/terrane/engine/tofu") + '\0' + command + '\0';
      struct stat status{};
      if (!line.starts_with(wanted) || stat(entry.path().c_str(), &status) != 0) continue;
      bool ours = status.st_uid >= first_uid() && status.st_uid < first_uid() + 20;
      if (ours && kill(static_cast<pid_t>(std::stol(entry.path().filename())), SIGKILL) == 0) ++killed;
    }
    return killed;
  }

  FakeApi api_;
  json::object settings_;
  pid_t worker_pid_ = -1;
};

}  // namespace terrane::worker
