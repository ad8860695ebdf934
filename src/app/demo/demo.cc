#include "app/demo/demo.h"

#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include "app/demo/run.h"
#include "app/local.h"
#include "base/log.h"
#include "base/text.h"
#include "config/settings.h"
#include "http/server.h"
#include "net/files.h"
#include "net/process.h"
#include "user/initial_admin.h"

namespace terrane::app {
namespace {

struct DemoOptions {
  std::string data = "/var/lib/terrane-demo";
  std::uint16_t port = 9443;
  bool once = false, env = false, status = false, stop = false;
};

std::filesystem::path pid_file(const std::filesystem::path& data) { return data / "serve.pid"; }

/// The supervisor's pid when it runs; a stale file of a killed one is not taken for it.
std::optional<pid_t> running_supervisor(const std::filesystem::path& data) {
  std::error_code ignored;
  if (!std::filesystem::exists(pid_file(data), ignored)) return std::nullopt;
  std::optional<std::int64_t> pid = parse_int(trim(net::read_file(pid_file(data), 64)));
  if (!pid) return std::nullopt;
  std::filesystem::path line = "/proc/" + std::to_string(*pid) + "/cmdline";
  if (!std::filesystem::exists(line, ignored)) return std::nullopt;
  std::string command = net::read_file(line, 1 << 16);
  std::replace(command.begin(), command.end(), '\0', ' ');
  if (!command.ends_with(" serve --data " + data.string() + " ")) return std::nullopt;
  return static_cast<pid_t>(*pid);
}

/// Starts `terrane serve` in a session of its own, so that it outlives this command.
pid_t start_serve(const DemoOptions& options) {
  net::make_directory(options.data, {0755});
  net::make_directory(std::filesystem::path(options.data) / "log", {0700});
  std::map<std::string, std::string> given;
  std::filesystem::path file = std::filesystem::path(options.data) / "terrane.env";
  if (std::filesystem::exists(file)) given = config::read_file(file);
  for (auto& [name, value] : config::from_environment()) given[name] = value;
  given["TFE_OPERATIONAL_MODE"] = "demo";
  given["TFE_HTTPS_PORT"] = std::to_string(options.port);
  given["TERRANE_RATE_LIMIT"] = "0";
  given["TERRANE_JOB_PORT"] = "0";
  config::Settings settings = config::Settings::from(given);
  if (settings.text("TERRANE_ENGINE_STORE").empty()) {
    throw Error(
        Code::invalid,
        "The demo needs an engine: set TERRANE_ENGINE_STORE to a store, or use ./x demo, which builds one.");
  }
  net::write_file(file, settings.to_file());

  std::error_code ignored;
  std::filesystem::remove(std::filesystem::path(options.data) / "status.json",
                          ignored);  // of an earlier life
  int log = ::open((std::filesystem::path(options.data) / "log" / "serve.log").c_str(),
                   O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  net::ProcessOptions process;
  process.argv = {std::filesystem::read_symlink("/proc/self/exe").string(), "serve", "--data", options.data};
  process.environment = {{"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
                         {"LANG", "C.UTF-8"}};
  process.files = {{log, 1}, {log, 2}};
  net::Process child = net::Process::start(process);
  ::close(log);
  net::write_file(pid_file(options.data), std::to_string(child.pid()) + "\n");
  return child.pid();
}

Task<> stop_serve(pid_t pid) {
  ::kill(pid, SIGTERM);
  const auto deadline = net::Clock::now() + std::chrono::seconds(120);
  while (::kill(pid, 0) == 0) {
    // A child of this very process stays a zombie until it is reaped.
    ::waitpid(pid, nullptr, WNOHANG);
    if (net::Clock::now() > deadline)
      throw Error(Code::unavailable,
                  "serve (pid " + std::to_string(pid) + ") did not stop within two minutes.");
    co_await net::sleep_for(std::chrono::milliseconds(50));
  }
}

Task<Secret> fresh_token(net::Executor executor, std::string data) {
  Local local(executor, data);
  user::Tokens tokens = co_await local.tokens();
  postgres::Tx tx = co_await local.database().begin();
  user::NewToken token = co_await user::ensure_demo_admin(tx, tokens);
  co_await tx.commit();
  co_return std::move(token.token);
}

DemoSite site_of(const std::string& data) {
  config::Settings settings =
      config::Settings::from(config::read_file(std::filesystem::path(data) / "terrane.env"));
  DemoSite site;
  site.data = data;
  site.host = settings.text("TFE_HOSTNAME");
  site.port = static_cast<std::uint16_t>(settings.number("TFE_HTTPS_PORT"));
  site.certificate = std::filesystem::path(data) / "tls" / "ca.pem";
  site.engine_store = settings.text("TERRANE_ENGINE_STORE");
  return site;
}

Task<> wait_until_ready(net::Executor executor, std::string data, pid_t pid) {
  const auto deadline = net::Clock::now() + std::chrono::seconds(180);
  while (!co_await is_ready(executor, site_of(data))) {
    int ended = 0;
    if (::waitpid(pid, &ended, WNOHANG) == pid || ::kill(pid, 0) != 0) {
      throw Error(Code::unavailable, "serve ended while it started; see " + data + "/log/serve.log");
    }
    if (net::Clock::now() > deadline)
      throw Error(Code::unavailable, "The system was not ready within three minutes; see " + data + "/log");
    co_await net::sleep_for(std::chrono::milliseconds(50));
  }
}

Task<int> print_env(net::Executor executor, std::string data) {
  if (!running_supervisor(data))
    throw Error(Code::unavailable, "The demo does not run. Start it by ./x demo.");
  DemoSite site = site_of(data);
  Secret token = co_await fresh_token(executor, data);
  Local local(executor, data);
  std::printf("export TFE_ADDRESS=https://%s:%u\n", site.host.c_str(), site.port);
  std::printf("export TFE_HOSTNAME=%s:%u\n", site.host.c_str(), site.port);
  std::printf("export TFE_TOKEN=%s\n", token.reveal().c_str());
  std::printf("export SSL_CERT_FILE=%s\n", site.certificate.c_str());
  std::printf("export TERRANE_PG='postgresql://scratch:%s@127.0.0.1:%lld/scratch'\n",
              require_string(local.generated(), "scratch_password").c_str(),
              static_cast<long long>(require_int(local.generated(), "postgres_port")));
  co_return 0;
}

int print_status(const std::string& data) {
  std::optional<pid_t> supervisor = running_supervisor(data);
  if (!supervisor) {
    std::printf("the demo does not run\n");
    return 1;
  }
  std::printf("%d serve\n", *supervisor);
  json::value status = parse_json(net::read_file(std::filesystem::path(data) / "status.json", 1 << 20));
  for (const json::value& item : status.as_array()) {
    const json::object& part = item.as_object();
    std::printf("%lld %s %s\n", static_cast<long long>(require_int(part, "pid")),
                require_string(part, "name").c_str(), require_string(part, "state").c_str());
  }
  return 0;
}

Task<int> start_and_run(net::Executor executor, DemoOptions options) {
  std::optional<pid_t> running = running_supervisor(options.data);
  const auto began = net::Clock::now();
  pid_t pid = running ? *running : start_serve(options);
  co_await wait_until_ready(executor, options.data, pid);
  std::fprintf(stderr, "ready after %.1f s\n",
               std::chrono::duration<double>(net::Clock::now() - began).count());
  Secret token = co_await fresh_token(executor, options.data);
  DemoSite site = site_of(options.data);
  bool applied = co_await perform_run(executor, site, token);
  if (options.once) {
    co_await stop_serve(pid);
  } else if (applied) {
    std::printf("\nTerrane runs at https://%s:%u (data: %s)\n", site.host.c_str(), site.port,
                options.data.c_str());
    std::printf("  ./x demo --env      what a client needs, as shell assignments\n");
    std::printf("  ./x demo --status   the processes\n");
    std::printf("  ./x demo --stop     end it\n");
  }
  co_return applied ? 0 : 1;
}

/// Unmounts what the broker mounted in a data directory, innermost first.
void unmount_below(const std::string& data) {
  std::vector<std::string> mounts;
  const std::string table = net::read_file("/proc/self/mounts", 1 << 24);
  for (std::string_view line : split(table, '\n')) {
    std::vector<std::string_view> words = split(line, ' ');
    if (words.size() > 1 && words[1].starts_with(data + "/")) mounts.emplace_back(words[1]);
  }
  for (auto mount = mounts.rbegin(); mount != mounts.rend(); ++mount) ::umount2(mount->c_str(), MNT_DETACH);
}

/// A temporary installation on a free port, one run, and nothing left.
Task<int> once(net::Executor executor, DemoOptions options) {
  char pattern[] = "/var/tmp/terrane-once-XXXXXX";
  if (!::mkdtemp(pattern)) throw Error(Code::internal, "No temporary directory could be made in /var/tmp.");
  ::chmod(pattern, 0755);
  options.data = pattern;
  int probe = http::bind_tcp("127.0.0.1", 0);
  options.port = http::local_port(probe);
  ::close(probe);
  std::exception_ptr failure;
  int status = 1;
  try {
    status = co_await start_and_run(executor, options);
  } catch (...) {
    failure = std::current_exception();
  }
  if (std::optional<pid_t> left = running_supervisor(options.data)) co_await stop_serve(*left);
  if (failure) std::rethrow_exception(failure);  // the directory stays, with its logs
  unmount_below(options.data);
  std::error_code ignored;
  if (status == 0) std::filesystem::remove_all(options.data, ignored);
  co_return status;
}

Task<int> demo(net::Executor executor, DemoOptions options) {
  if (options.env) co_return co_await print_env(executor, options.data);
  if (options.status) co_return print_status(options.data);
  if (options.stop) {
    std::optional<pid_t> running = running_supervisor(options.data);
    if (running) co_await stop_serve(*running);
    std::printf(running ? "stopped\n" : "the demo does not run\n");
    co_return 0;
  }
  if (options.once) co_return co_await once(executor, options);
  co_return co_await start_and_run(executor, options);
}

}  // namespace

void add_demo_command(CLI::App& app, int& status) {
  static DemoOptions options;
  CLI::App* command =
      app.add_subcommand("demo", "start the whole system on this machine and perform a run on it");
  command->add_flag("--once", options.once,
                    "a temporary installation, one run, stop; succeeds only if it was applied");
  command->add_flag("--env", options.env, "print what a client needs, as shell assignments");
  command->add_flag("--status", options.status, "print a process a line: pid, role, state");
  command->add_flag("--stop", options.stop, "end it");
  command->add_option("--data", options.data, "data directory")->capture_default_str();
  command->add_option("--port", options.port, "port for clients")->capture_default_str();
  command->callback([&status] {
    log::init("demo", log::Level::warn);
    status = net::run_role([](net::Executor executor, net::Stop&) { return demo(executor, options); });
  });
}

}  // namespace terrane::app
