#include "app/admin.h"

#include <cstdio>

#include <CLI/CLI.hpp>

#include "app/local.h"
#include "app/roles/web_domains.h"
#include "base/log.h"
#include "run/trace.h"
#include "user/initial_admin.h"

namespace terrane::app {
namespace {

/// Runs a command against the installation in `data`, whose database and vault this host's root may use.
int with_installation(const std::string& data, std::function<Task<int>(Local&)> body) {
  log::init("admin", log::Level::warn);
  return net::run_role([&](net::Executor executor, net::Stop&) -> Task<int> {
    Local local(executor, data);
    int status = co_await body(local);
    co_return status;
  });
}

Task<int> print_admin_token(Local& local) {
  user::Tokens tokens = co_await local.tokens();
  Secret token = co_await user::issue_initial_admin_token(local.database(), tokens);
  std::printf("%s\n", token.reveal().c_str());
  co_return 0;
}

Task<int> print_trace(Local& local, std::string run) {
  std::string text = co_await run::trace_text(local.database(), run);
  std::fputs(text.c_str(), stdout);
  co_return 0;
}

Task<int> list_nodes(Local& local) {
  std::string text = co_await run::nodes_text(local.database());
  std::fputs(text.c_str(), stdout);
  co_return 0;
}

Task<int> drain_node(Local& local, std::string node, bool draining) {
  co_await run::set_draining(local.database(), node, draining);
  co_return 0;
}

Task<int> forget_node(Local& local, std::string node) {
  co_await run::forget_node(local.database(), node);
  co_return 0;
}

}  // namespace

void add_admin_commands(CLI::App& app, int& status) {
  static std::string data = "/var/lib/terrane";
  static std::string argument;
  auto with_data = [](CLI::App* command) {
    command->add_option("--data", data, "data directory")->capture_default_str();
    return command;
  };
  CLI::App* admin = app.add_subcommand("admin", "administration on the host")->require_subcommand(1);
  with_data(admin->add_subcommand("token", "print the one-time token that makes the first site admin"))
      ->callback([&status] { status = with_installation(data, print_admin_token); });
  CLI::App* trace = with_data(
      app.add_subcommand("trace", "print the way of a run: each step, who made it, how long it took"));
  trace->add_option("run", argument, "the run's id")->required();
  trace->callback([&status] {
    status = with_installation(data, [](Local& local) { return print_trace(local, argument); });
  });
  CLI::App* node = app.add_subcommand("node", "worker nodes")->require_subcommand(1);
  with_data(node->add_subcommand("list", "list nodes with what they execute"))->callback([&status] {
    status = with_installation(data, list_nodes);
  });
  auto add_drain = [&](const char* verb, const char* meaning, bool wanted) {
    CLI::App* command = with_data(node->add_subcommand(verb, meaning));
    command->add_option("node", argument, "the node's id")->required();
    command->callback([&status, wanted] {
      status =
          with_installation(data, [wanted](Local& local) { return drain_node(local, argument, wanted); });
    });
  };
  CLI::App* forget = with_data(node->add_subcommand(
      "forget", "declare a silent node dead: its plans are run again, its applies end errored"));
  forget->add_option("node", argument, "the node's id")->required();
  forget->callback([&status] {
    status = with_installation(data, [](Local& local) { return forget_node(local, argument); });
  });
  app.add_subcommand("routes", "print every endpoint, one a line")->callback([&status] {
    std::fputs(routes_text().c_str(), stdout);
    status = 0;
  });
  app.add_subcommand("openapi", "print the OpenAPI document of API v2")->callback([&status] {
    api::OpenApi made = openapi();
    std::printf("%s\n", json::serialize(made.document).c_str());
    for (const std::string& row : made.undescribed) std::fprintf(stderr, "no schema: %s\n", row.c_str());
    status = 0;
  });
  add_drain("drain", "give a node no new phases", true);
  add_drain("undrain", "give a node phases again", false);
}

}  // namespace terrane::app
