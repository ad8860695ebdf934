#include "shim/prepare.h"

#include <sys/stat.h>

#include "base/error.h"
#include "base/text.h"
#include "shim/durable.h"
#include "shim/engine_files.h"
#include "shim/layout.h"

namespace terrane::shim {
namespace {

using worker_protocol::Phase;

constexpr const char* system_certificates = "/etc/ssl/certs/ca-certificates.crt";

Task<> first_beat(Context& context) {
  if (!co_await context.pulse.first()) throw EndedEarly();
  co_await net::blocking([&] { context.spool.mark_started(); });
}

Task<> start_sandbox(Context& context) {
  const worker_protocol::Job& job = context.job;
  sandbox::SandboxSpec spec;
  spec.binds.push_back({context.order.engine.parent_path(), std::string(engine_inside), false});
  if (!context.order.providers.empty())
    spec.binds.push_back({context.order.providers, std::string(providers_inside), false});
  std::vector<std::string> stored = stored_providers(context.order.providers);
  if (!context.order.platform.ca_pem.empty()) {
    // One bundle of all, because most programs take the variable's file instead of the system's.
    std::optional<std::string> system = read_file(system_certificates, 900 * 1024);
    spec.files[std::string(certificates_inside)] = system.value_or("") + context.order.platform.ca_pem;
  }
  spec.files[std::string(cli_config_inside)] = cli_config(stored, job.hostname, job.run_token, true);
  spec.files[std::string(direct_config_inside)] = cli_config(stored, job.hostname, job.run_token, false);
  context.sandbox = co_await sandbox::Sandbox::start(context.executor, context.inheritance, std::move(spec));
  context.ender.attach(*context.sandbox);
}

Task<> fetch(Context& context, std::string path, std::string name, std::string what) {
  sandbox::Descriptor file = context.files->create(name);
  std::function<Task<>()> attempt = [&] {
    return context.api.fetch(path, file.get(), static_cast<std::uint64_t>(context.job.disk_bytes));
  };
  try {
    co_await persistently(attempt, context.give_up());
  } catch (const Error& failure) {
    context.check();
    throw Error(failure.code(), "The " + what + " could not be fetched: " + failure.detail());
  }
}

Task<> unpack_configuration(Context& context) {
  const worker_protocol::Job& job = context.job;
  std::string output;
  sandbox::Command command;
  command.argv = {sandbox::binary_inside,         "unpack",
                  inside(archive_file),           sandbox::work_inside,
                  std::to_string(job.disk_bytes), job.working_directory};
  command.environment = {{"PATH", "/usr/bin:/bin"}};
  command.on_output = into(output);
  context.check();
  sandbox::Exit exit = co_await context.sandbox->exec(std::move(command));
  context.check();
  check_killed(exit);
  if (!exit.success()) {
    std::string reason(trim(output));
    throw Error(Code::unprocessable, reason.empty() ? "The configuration could not be unpacked." : reason);
  }
  context.files->remove(archive_file);
}

void write_engine_files(Context& context) {
  std::string directory = working_directory_of(context.job);
  std::optional<struct stat> status = context.files->look(directory);
  if (!status || !S_ISDIR(status->st_mode)) {
    throw Error(Code::unprocessable, "The working directory \"" + context.job.working_directory +
                                         "\" is not in the configuration.");
  }
  context.files->write(directory + "/" + std::string(override_name), override_file());
  context.files->write(directory + "/" + std::string(variables_name), variables_file(context.job.variables));
  // Made by us, because the engine would make it for its own user alone.
  std::string state = state_file_of(context.job);
  context.files->make_directories(state.substr(0, state.rfind('/')));
}

// Whether `init` failed over a provider that another installation method may have.
bool misses_provider(const std::string& output) {
  return output.find("Failed to query available provider packages") != std::string::npos ||
         output.find("Failed to install provider") != std::string::npos;
}

Task<> initialize(Context& context) {
  std::string output;
  sandbox::Exit exit = co_await run_engine(context, init_arguments(), into(output));
  if (!exit.success() && !context.ender.ending() && context.inheritance.network && misses_provider(output)) {
    output.clear();
    exit = co_await run_engine(context, init_arguments(), into(output), direct_config_inside);
  }
  if (!exit.success()) context.log.write(output);
  context.check();
  check_killed(exit);
  if (!exit.success())
    throw Error(Code::unprocessable, "The initialization failed. The log has the engine's message.");
}

// The state goes in place after `init`, which refuses to find one.
Task<std::optional<StateFacts>> place_state(Context& context) {
  std::string name = state_file_of(context.job);
  if (context.job.state_path.empty()) {
    context.files->remove(name);
    co_return std::nullopt;
  }
  context.files->move(fetched_state_file, name);
  std::optional<sandbox::Descriptor> file = context.files->open(name);
  if (!file) throw Error(Code::internal, "The state is gone.");
  std::optional<StateFacts> facts =
      co_await net::blocking_result<std::optional<StateFacts>>([&] { return read_state(file->get()); });
  if (!facts) throw Error(Code::unprocessable, "The workspace's current state is no complete state file.");
  co_return facts;
}

// Whether the run directory is the plan's, initialised and with the very plan file. What keeps records of it
// may be wrong, so the hash decides.
Task<bool> is_kept(Context& context) {
  const std::string& wanted = context.order.kept_plan_sha256;
  if (context.job.phase != Phase::apply || wanted.empty()) co_return false;
  co_return co_await hash_of(context, plan_file) == wanted;
}

}  // namespace

Task<Prepared> prepare(Context& context) {
  const worker_protocol::Job& job = context.job;
  if (context.order.engine.empty()) {
    co_await first_beat(context);
    throw Error(Code::unprocessable, context.order.engine_error);
  }
  bool kept = co_await is_kept(context);
  Parallel inputs(context.executor);
  inputs.add(first_beat(context));
  inputs.add(start_sandbox(context));
  if (!kept) inputs.add(fetch(context, job.configuration_path, archive_file, "configuration"));
  if (!job.state_path.empty()) inputs.add(fetch(context, job.state_path, fetched_state_file, "state"));
  if (job.phase == Phase::apply && !kept) inputs.add(fetch(context, job.plan_path, plan_file, "plan file"));
  co_await inputs.wait();
  context.check();
  if (!kept) {
    co_await unpack_configuration(context);
    write_engine_files(context);
    co_await initialize(context);
  }
  Prepared prepared;
  prepared.state = co_await place_state(context);
  co_return prepared;
}

}  // namespace terrane::shim
