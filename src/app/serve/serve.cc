#include "app/serve/serve.h"

#include <cstdio>
#include <unistd.h>

#include "app/roles.h"
#include "app/serve/provision.h"
#include "app/serve/stores.h"
#include "base/log.h"
#include "http/client.h"
#include "http/server.h"
#include "installation/installation.h"
#include "installation/terraform_version.h"
#include "net/files.h"
#include "supervisor/lock.h"
#include "supervisor/supervisor.h"
#include "vault_client/vault_client.h"

namespace terrane::app {
namespace {

using supervisor::ServiceSpec;

/// A role of ours: the installation's copy of this program, as its own user, with its own configuration file.
ServiceSpec role_spec(net::Executor executor, const Installation& installation, const std::string& role,
                      const Account& account) {
  ServiceSpec spec;
  spec.name = role;
  const std::string verb = role.starts_with("worker-") ? "worker" : role;
  spec.process.argv = {installation.layout.binary().string(), verb, "--config",
                       installation.layout.role_config(role).string()};
  spec.process.environment = {{"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
                              {"LANG", "C.UTF-8"}};
  spec.process.uid = account.uid;
  spec.process.gid = account.gid;
  spec.before_start = [executor, installation, role] {
    return write_role_config(executor, installation, role);
  };
  spec.ready_limit = std::chrono::seconds(60);
  spec.stop_limit = std::chrono::seconds(30);
  return spec;
}

Task<bool> answers(net::Executor executor, http::Endpoint endpoint, std::string target) {
  http::ClientOptions options;
  options.connect_time = std::chrono::milliseconds(1000);
  options.header_time = std::chrono::milliseconds(3000);
  http::Client client(executor, std::move(endpoint), options);
  http::ClientRequest request;
  request.target = std::move(target);
  try {
    http::ClientResponse response = co_await client.send(std::move(request));
    co_return response.status < 300;
  } catch (const Error&) {
    co_return false;
  }
}

Task<bool> vault_is_open(net::Executor executor, http::Endpoint endpoint) {
  vault_client::VaultClient client(executor, std::move(endpoint), {});
  try {
    vault_client::Health health = co_await client.health();
    co_return health.initialized && !health.sealed;
  } catch (const Error&) {
    co_return false;
  }
}

http::Endpoint unix_endpoint(const std::filesystem::path& socket) {
  http::Endpoint endpoint;
  endpoint.host = "local";
  endpoint.unix_path = socket;
  return endpoint;
}

Task<> before_vault(net::Executor executor, Installation installation) {
  co_await prepare_database(executor, installation);
  co_await write_role_config(executor, installation, "vault");
}

/// The installation's row and the engines of the store, before web and background need them.
Task<> before_background(net::Executor executor, Installation installation) {
  postgres::DatabaseOptions options;
  options.url = database_url(installation, "terrane", "terrane");
  options.application = "terrane serve";
  options.connections = 1;
  postgres::Database database(executor, options);
  co_await installation::open(database, installation.settings.text("TFE_OPERATIONAL_MODE"),
                              installation.settings.text("TFE_HOSTNAME"));
  if (!installation.engine_store.empty()) {
    json::value manifest = parse_json(net::read_file(installation.engine_store / "manifest.json", 1 << 20));
    for (const json::value& item : manifest.as_array()) {
      const json::object& engine = item.as_object();
      co_await installation::register_engine(database, require_string(engine, "version"),
                                             require_string(engine, "sha256"),
                                             require_string(engine, "engine"));
    }
  }
  co_await write_role_config(executor, installation, "background");
}

struct Listeners {
  int web;
  int jobs;
};

std::vector<ServiceSpec> role_specs(net::Executor executor, const Installation& installation,
                                    Listeners listeners) {
  const Accounts& who = installation.accounts;
  const Layout& layout = installation.layout;
  std::vector<ServiceSpec> specs;

  ServiceSpec vault = role_spec(executor, installation, "vault", who.vault);
  // The socket's directory belongs to the core's group, so that its members may ask.
  vault.process.gid = who.core.gid;
  vault.before_start = [executor, installation] { return before_vault(executor, installation); };
  vault.ready = [executor, endpoint = unix_endpoint(layout.vault_socket())] {
    return vault_is_open(executor, endpoint);
  };
  vault.after = {"postgres"};
  specs.push_back(std::move(vault));

  ServiceSpec background = role_spec(executor, installation, "background", who.core);
  background.before_start = [executor, installation] { return before_background(executor, installation); };
  background.after = {"vault"};
  specs.push_back(std::move(background));

  ServiceSpec archivist = role_spec(executor, installation, "archivist", who.core);
  archivist.ready = [executor, endpoint = unix_endpoint(layout.archivist_socket())] {
    return answers(executor, endpoint, "/internal/v1/ping");
  };
  archivist.after = {"vault", "redis"};
  specs.push_back(std::move(archivist));

  ServiceSpec services = role_spec(executor, installation, "services", who.core);
  services.after = {"vault"};
  specs.push_back(std::move(services));

  ServiceSpec web = role_spec(executor, installation, "web", who.core);
  web.process.files = {{listeners.web, public_listener_fd}, {listeners.jobs, job_listener_fd}};
  http::Endpoint public_endpoint;
  public_endpoint.host = installation.settings.text("TFE_HOSTNAME");
  public_endpoint.tls = true;
  public_endpoint.ca_pem = net::read_file(layout.tls() / "ca.pem", 1 << 20);
  public_endpoint.host = "localhost";
  public_endpoint.port = static_cast<std::uint16_t>(installation.settings.number("TFE_HTTPS_PORT"));
  web.ready = [executor, public_endpoint] { return answers(executor, public_endpoint, "/api/v2/ping"); };
  web.after = {"vault", "background"};
  specs.push_back(std::move(web));

  ServiceSpec broker = role_spec(executor, installation, "broker", Account{"root", 0, 0});
  broker.process.uid.reset();
  broker.process.gid.reset();
  specs.push_back(std::move(broker));

  for (std::int64_t number = 1; number <= installation.settings.number("TERRANE_WORKERS"); ++number) {
    ServiceSpec worker = role_spec(executor, installation, "worker-" + std::to_string(number), who.worker);
    worker.after = {"web", "broker"};
    specs.push_back(std::move(worker));
  }
  return specs;
}

/// Writes what runs into a file for `demo --status` and the like, whenever it changes.
Task<> keep_status_file(supervisor::Supervisor& supervisor, std::filesystem::path path, net::Stop& stop) {
  std::string written;
  do {
    json::array list;
    for (const supervisor::Status& status : supervisor.status()) {
      list.push_back(json::object{{"name", status.name},
                                  {"pid", status.pid},
                                  {"state", supervisor::name(status.state)},
                                  {"restarts", status.restarts}});
    }
    std::string text = json::serialize(list);
    if (text != written) net::write_file(path, text, {0644});
    written = std::move(text);
  } while (!co_await stop.wait_for(std::chrono::milliseconds(200)));
}

Task<int> serve(std::filesystem::path data, config::Settings settings, net::Executor executor,
                net::Stop& stop) {
  Installation installation{{data},
                            settings,
                            {},
                            {},
                            settings.text("TERRANE_ENGINE_STORE"),
                            settings.text("TERRANE_PROVIDER_STORE")};
  installation.accounts = co_await ensure_accounts();
  net::make_directory(data, {0755, 0, 0});
  supervisor::DirectoryLock lock = co_await supervisor::DirectoryLock::take(data, std::chrono::seconds(30));
  installation.generated = Generated::load_or_make(
      installation.layout, static_cast<std::uint16_t>(settings.number("TERRANE_JOB_PORT")),
      static_cast<std::uint16_t>(settings.number("TFE_HTTPS_PORT")));
  provision(installation);
  for (const std::string& warning : settings.warnings()) log::warn(warning);

  // The supervisor keeps the listening sockets: a web that restarts loses no connection that waits.
  Listeners listeners{http::bind_tcp(settings.text("TERRANE_LISTEN"),
                                     static_cast<std::uint16_t>(settings.number("TFE_HTTPS_PORT"))),
                      http::bind_tcp("127.0.0.1", installation.generated.job_port)};

  std::vector<ServiceSpec> specs = store_specs(executor, installation);
  for (ServiceSpec& spec : role_specs(executor, installation, listeners)) specs.push_back(std::move(spec));
  supervisor::SupervisorOptions options;
  options.log_directory = installation.layout.logs();
  options.children_lock = lock.children();
  supervisor::Supervisor supervisor(executor, std::move(specs), options);
  net::spawn(executor, "status file", keep_status_file(supervisor, data / "status.json", stop));
  std::exception_ptr failure;
  try {
    co_await supervisor.start_all();
    log::info("ready", {{"address", "https://" + installation.public_host()}});
    co_await supervisor.run(stop);
  } catch (...) {
    failure = std::current_exception();
  }
  co_await supervisor.stop_all();
  if (failure) std::rethrow_exception(failure);
  ::close(listeners.web);
  ::close(listeners.jobs);
  co_return 0;
}

}  // namespace

int serve_main(const std::filesystem::path& data, const config::Settings& settings) {
  return net::run_role(
      [&](net::Executor executor, net::Stop& stop) { return serve(data, settings, executor, stop); });
}

}  // namespace terrane::app
