// One binary, one role a process: this file only finds the role.
#include <cstdio>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>

#include "app/admin.h"
#include "app/demo/demo.h"
#include "app/roles.h"
#include "app/serve/serve.h"
#include "base/error.h"
#include "base/log.h"
#include "shim/shim.h"

namespace {

using namespace terrane;

/// Memory of a role never reaches a core file: it may hold secrets.
void forbid_core_dumps() {
  rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  ::prctl(PR_SET_DUMPABLE, 0);
}

config::Settings settings_of(const std::filesystem::path& data) {
  std::map<std::string, std::string> given;
  if (std::filesystem::exists(data / "terrane.env")) given = config::read_file(data / "terrane.env");
  for (auto& [name, value] : config::from_environment()) given[name] = value;
  return config::Settings::from(given);
}

int run(int argc, char** argv) {
  CLI::App command_line("Terrane: a self-hosted run platform for Terraform configurations", "terrane");
  command_line.set_version_flag("--version", TERRANE_VERSION);
  command_line.require_subcommand(1);
  int status = 0;

  std::string config;
  using Main = int (*)(const app::RoleConfig&);
  struct Role {
    const char* name;
    Main main;
  };
  const Role roles[] = {{"web", app::web_main},
                        {"background", app::background_main},
                        {"archivist", app::archivist_main},
                        {"services", app::services_main},
                        {"vault", app::vault_main},
                        {"worker", app::worker_main},
                        {"broker", app::broker_main}};
  for (const Role& role : roles) {
    CLI::App* command =
        command_line.add_subcommand(role.name, std::string("the role ") + role.name + ", as serve starts it")
            ->group("Roles");
    command->add_option("--config", config, "the role's configuration file")->required();
    command->callback([&status, &config, role] {
      log::init(role.name);
      forbid_core_dumps();
      status = role.main(app::RoleConfig::read(config));
    });
  }
  command_line.add_subcommand("shim", "one phase of a run, as the broker starts it")
      ->group("Roles")
      ->callback([&] {
        log::init("shim");
        forbid_core_dumps();
        status = shim::shim_main();
      });

  std::string data = "/var/lib/terrane";
  CLI::App* serve = command_line.add_subcommand("serve", "start and watch every process of this node");
  serve->add_option("--data", data, "data directory")->capture_default_str();
  serve->callback([&] {
    log::init("serve");
    status = app::serve_main(data, settings_of(data));
  });
  app::add_admin_commands(command_line, status);
  app::add_demo_command(command_line, status);
  CLI11_PARSE(command_line, argc, argv);
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const terrane::Error& error) {
    for (const terrane::Problem& problem : error.problems())
      std::fprintf(stderr, "terrane: %s\n", problem.detail.c_str());
    return 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "terrane: %s\n", error.what());
    return 1;
  }
}
