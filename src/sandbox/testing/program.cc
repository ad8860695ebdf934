// The program of the sandbox's tests: broker and shim in one file, as in the real one, with a shim
// that does what its job document says.
#include <arpa/inet.h>
#include <cstdio>
#include <fcntl.h>
#include <fstream>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "net/io.h"
#include "sandbox/broker.h"
#include "sandbox/descriptor.h"
#include "sandbox/readable.h"
#include "sandbox/shim_side.h"

using namespace terrane;
using namespace terrane::sandbox;

namespace {

// broker JSON: the options that tests vary.
Task<int> broker_main(std::string text, net::Executor executor, net::Stop& stop) {
  json::value document = parse_json(text);
  const json::object& object = document.as_object();
  BrokerOptions options;
  options.socket = require_string(object, "socket");
  options.root = require_string(object, "root");
  options.installation = require_string(object, "installation");
  options.worker_uid = static_cast<uid_t>(require_int(object, "worker_uid"));
  options.worker_gid = options.worker_uid;
  options.binary = require_string(object, "binary");
  options.shim_environment = {{"PATH", "/usr/bin"}, {"MARK", "shim environment"}};
  options.first_uid = static_cast<uid_t>(require_int(object, "first_uid"));
  options.uid_count = 20;
  options.network_pool = static_cast<std::size_t>(require_int(object, "network_pool"));
  for (const json::value& range : object.at("unreachable").as_array())
    options.unreachable.emplace_back(range.as_string());
  options.weak_limits = find_bool(object, "weak_limits").value_or(false);
  options.after_grace = std::chrono::seconds(require_int(object, "after_grace"));
  Broker broker(executor, options);
  co_await broker.run(stop);
  co_return 0;
}

std::string read_all(int file) {
  std::string text;
  char buffer[65536];
  ssize_t size;
  while ((size = read(file, buffer, sizeof buffer)) > 0) text.append(buffer, static_cast<std::size_t>(size));
  return text;
}

std::map<std::string, std::string> texts(const json::object& object, std::string_view key) {
  std::map<std::string, std::string> result;
  if (const json::object* inner = find_object(object, key)) {
    for (const auto& [name, value] : *inner)
      result.emplace(std::string(name), std::string(value.as_string()));
  }
  return result;
}

// Answers each connection of the relay with one line.
Task<> serve_relay(int listener) {
  for (;;) {
    co_await wait_readable(listener);
    Descriptor connection(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    std::string_view line = "relay of the shim\n";
    if (connection) send(connection.get(), line.data(), line.size(), MSG_NOSIGNAL);
  }
}

struct Outcome {
  std::filesystem::path spool;
  json::array commands;

  void write(const char* name, json::object more) const {
    more["commands"] = commands;
    std::filesystem::path fresh = spool / (std::string(name) + ".new");
    std::ofstream(fresh) << json::serialize(more);
    std::filesystem::rename(fresh, spool / name);
  }
};

Task<> append(std::string& output, std::string_view bytes) {
  if (output.size() < (1 << 20)) output += bytes;
  co_return;
}

Task<json::object> run_command(Sandbox& sandbox, const json::object& wanted) {
  Command command;
  for (const json::value& argument : wanted.at("argv").as_array())
    command.argv.emplace_back(argument.as_string());
  command.environment = texts(wanted, "environment");
  std::string output;
  command.on_output = [&output](Stream, std::string_view bytes) { return append(output, bytes); };
  json::object result;
  try {
    Exit exit = co_await sandbox.exec(command);
    result = {{"code", exit.code}, {"signal", exit.signal}, {"lost", exit.lost}};
  } catch (const Error& error) {
    result = {{"error", error.what()}};
  }
  result["output"] = output;
  co_return result;
}

Task<> interrupt_when(Sandbox sandbox, std::filesystem::path file) {
  while (!std::filesystem::exists(file)) co_await net::sleep_for(std::chrono::milliseconds(5));
  sandbox.interrupt();
}

// The job: {"binds": {source: destination}, "files": {…}, "commands": [{"argv", "environment"}],
// "interrupt_when": file, "hold": bool}. What came of it is written to SPOOL/outcome.json, the start of each
// command to SPOOL/started.json.
Task<int> shim_main(net::Executor executor, net::Stop& stop) {
  net::Clock::time_point begin = net::Clock::now();
  ShimInheritance inheritance = inherited_from_environment();
  json::value job = parse_json(read_all(inheritance.job));
  const json::object& object = job.as_object();
  Outcome outcome{inheritance.spool, {}};
  SandboxSpec spec;
  for (const auto& [source, destination] : texts(object, "binds"))
    spec.binds.push_back({source, destination, false});
  spec.files = texts(object, "files");
  for (int listener : inheritance.relays) net::spawn(executor, "relay", serve_relay(listener));
  json::object summary;
  try {
    Sandbox sandbox = co_await Sandbox::start(executor, inheritance, spec);
    summary["sandbox_ms"] = std::chrono::duration<double, std::milli>(net::Clock::now() - begin).count();
    summary["started_ns"] = std::chrono::steady_clock::now().time_since_epoch().count();
    if (auto file = find_string(object, "interrupt_when")) {
      net::spawn(executor, "interrupt", interrupt_when(sandbox, inheritance.run_directory / "work" / *file));
    }
    for (const json::value& wanted : object.at("commands").as_array()) {
      outcome.write("started.json", {});
      json::object result = co_await run_command(sandbox, wanted.as_object());
      outcome.commands.push_back(std::move(result));
      summary["last_command_ns"] = std::chrono::steady_clock::now().time_since_epoch().count();
    }
    LimitsHit limits = sandbox.limits();
    summary["limits"] = limits.describe();
    summary["throttled_us"] = limits.throttled_us;
    if (!find_bool(object, "hold").value_or(false)) sandbox.kill_all();
    outcome.write("commands.json", summary);
    co_await sandbox.ended();
  } catch (const Error& error) {
    summary["error"] = error.what();
  }
  outcome.write("outcome.json", summary);
  co_return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::string_view role = argc > 1 ? argv[1] : "";
  if (role == "shim") return net::run_role(shim_main);
  if (role == "broker" && argc > 2) {
    std::string options = argv[2];
    return net::run_role(
        [options](net::Executor executor, net::Stop& stop) { return broker_main(options, executor, stop); });
  }
  std::fprintf(stderr, "usage: %s broker OPTIONS | shim\n", argv[0]);
  return 2;
}
