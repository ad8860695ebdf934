#include "api/api.h"
#include "app/roles.h"
#include "base/log.h"
#include "base/text.h"
#include "configversion/configversion.h"
#include "http/server.h"
#include "installation/secrets.h"
#include "installation/terraform_version_api.h"
#include "net/files.h"
#include "object/archivist_client.h"
#include "organization/organization_api.h"
#include "postgres/listener.h"
#include "redis/client.h"
#include "run/api.h"
#include "run/job_api.h"
#include "run/uploads.h"
#include "state/state.h"
#include "user/user_api.h"
#include "variable/variable_api.h"
#include "vault_client/vault_client.h"
#include "workspace/workspace.h"

namespace terrane::app {
namespace {

/// The endpoints that belong to no domain: discovery, ping, health, signed URLs.
class Front {
 public:
  Front(postgres::Database& database, redis::Client& redis, vault_client::Vault& vault,
        object::ArchivistClient& archivist, const object::UrlSigner& urls)
      : database_(database), redis_(redis), vault_(vault), archivist_(archivist), urls_(urls) {}

  void add_public_routes(http::Router& router) {
    using http::Method;
    router.add({Method::get, "/.well-known/terraform.json", api::bind<&Front::discovery>(this), 0, false});
    router.add({Method::get, "/api/v2/ping", api::bind<&Front::ping>(this), 0, false});
    router.add({Method::get, "/_health_check", api::bind<&Front::health>(this), 0, false});
    add_blob_routes(router);
  }

  /// Signed URLs; workers use the same on their listener.
  void add_blob_routes(http::Router& router) {
    constexpr std::size_t unlimited = std::size_t{1} << 40;  // archivist knows the limit of each kind
    for (http::Method method : {http::Method::get, http::Method::head, http::Method::put}) {
      router.add({method, "/_archivist/*rest", api::bind<&Front::blob>(this), unlimited, false});
    }
  }

 private:
  Task<http::Response> discovery(http::Request&) {
    static const json::object document{
        {"tfe.v2", "/api/v2/"}, {"tfe.v2.1", "/api/v2/"}, {"tfe.v2.2", "/api/v2/"}, {"state.v2", "/api/v2/"}};
    http::Response response;
    response.headers.set("Content-Type", "application/json");
    response.body = json::serialize(document);
    co_return response;
  }

  Task<http::Response> ping(http::Request&) { co_return api::no_content(); }

  Task<http::Response> blob(http::Request& request) {
    http::Response response = co_await archivist_.forward(request);
    if (request.method != http::Method::put || response.status != 200) co_return response;
    std::optional<object::Grant> grant = urls_.verify(request.path.substr(request.path.rfind('/') + 1));
    std::optional<std::int64_t> size = parse_int(response.headers.find("X-Terrane-Size").value_or(""));
    std::optional<std::string_view> md5 = response.headers.find("X-Terrane-Md5");
    if (!grant || !size || !md5) throw Error(Code::internal, "archivist did not say what it stored");
    // The bytes are durable; what follows from that is committed before the answer leaves.
    co_await run::on_uploaded(database_, grant->object, std::string(*md5), *size);
    co_return response;
  }

  Task<http::Response> health(http::Request& request) {
    json::object document;
    bool well = true;
    auto note = [&](std::string_view part, const std::string& problem) {
      document[part] = problem.empty() ? "UP" : "DOWN: " + problem;
      well = well && problem.empty();
    };
    std::string problem;
    try {
      static constexpr Statement alive{"health_alive", "SELECT 1 AS alive"};
      co_await database_.query(alive);
    } catch (const Error& error) {
      problem = error.detail();
    }
    note("postgres", problem);
    if (request.query.find("full") == "1") {
      problem.clear();
      try {
        vault_client::Health health = co_await vault_.health();
        if (health.sealed) problem = "sealed";
      } catch (const Error& error) {
        problem = error.detail();
      }
      note("vault", problem);
      problem.clear();
      try {
        co_await redis_.command({"PING"});
      } catch (const Error& error) {
        problem = error.detail();
      }
      note("redis", problem);
      problem.clear();
      try {
        co_await archivist_.ping();
      } catch (const Error& error) {
        problem = error.detail();
      }
      note("archivist", problem);
    }
    http::Response response;
    response.status = well ? 200 : 503;
    response.headers.set("Content-Type", "application/json");
    response.body = json::serialize(document);
    co_return response;
  }

  postgres::Database& database_;
  redis::Client& redis_;
  vault_client::Vault& vault_;
  object::ArchivistClient& archivist_;
  const object::UrlSigner& urls_;
};

/// Counts requests of a principal in windows of a second. Redis away means no limit: it must not stop the
/// platform.
Task<std::optional<double>> limit_rate(redis::Client& redis, std::int64_t most, std::string key) {
  if (most <= 0) co_return std::nullopt;
  try {
    std::int64_t count = co_await redis.count("rate:" + key, std::chrono::seconds(1));
    if (count > most) co_return 1.0;
  } catch (const Error& error) {
    log::debug("no rate limit without Redis", {{"error", error.what()}});
  }
  co_return std::nullopt;
}

Task<int> web(RoleConfig config, net::Executor executor, net::Stop& stop) {
  // Adapters.
  postgres::Database database(executor, config.database("terrane web"));
  redis::Client redis(executor, config.redis());
  vault_client::VaultClient vault(executor, config.vault(), {.token = config.vault_token()});
  object::ArchivistClient archivist(executor, config.text("archivist_socket"));
  Secret token_key = co_await installation::load_or_create(database, vault, "token-hmac", 32);
  Secret url_key = co_await installation::load_or_create(database, vault, "url-signing", 32);
  co_await vault.ensure_key(run::blob_key);
  const object::UrlSigner urls(std::move(url_key));
  user::Tokens tokens(database, std::move(token_key));
  const std::string origin = "https://" + config.text("public_host");

  // Domains.
  Front front(database, redis, vault, archivist, urls);
  user::UserApi users(database, tokens);
  organization::OrganizationApi organizations(database, tokens);
  organization::ProjectApi projects(database);
  installation::TerraformVersionApi versions(database);
  workspace::Api workspaces(database);
  variable::VariableApi variables(database, vault);
  configversion::Api configurations(database, urls, origin);
  state::Api states({database, archivist, vault, urls, origin});
  run::Api runs({executor, database, vault, urls, origin});
  run::PhaseLimits limits;
  limits.plan_time = std::chrono::seconds(config.number("plan_timeout"));
  limits.apply_time = std::chrono::seconds(config.number("apply_timeout"));
  limits.memory_bytes = config.number("memory_bytes");
  limits.cpus = static_cast<double>(config.number("cpus"));
  limits.processes = config.number("processes");
  limits.disk_bytes = config.number("disk_bytes");
  run::JobApi jobs({executor, database, vault, archivist, tokens, urls, config.text("public_host"), limits});

  http::Router router;
  front.add_public_routes(router);
  users.add_routes(router);
  organizations.add_routes(router);
  projects.add_routes(router);
  versions.add_routes(router);
  workspaces.add_routes(router);
  variables.add_routes(router);
  configurations.add_routes(router);
  states.add_routes(router);
  runs.add_routes(router);
  http::Router job_router;
  jobs.add_routes(job_router);
  front.add_blob_routes(job_router);

  api::Options options;
  options.requests_per_second = static_cast<int>(config.number("rate_limit"));
  auto authenticate = [&tokens](const std::string& token) { return tokens.authenticate(token); };
  auto no_principal = [](const std::string&) -> Task<std::optional<api::Principal>> {
    co_return std::nullopt;
  };
  auto rate = [&redis, most = config.number("rate_limit")](const std::string& key) {
    return limit_rate(redis, most, key);
  };
  auto no_rate = [](const std::string&) -> Task<std::optional<double>> { co_return std::nullopt; };
  http::Server server(executor, api::handler(router, authenticate, rate, options), api::error_response);
  http::Server job_server(executor, api::handler(job_router, no_principal, no_rate, {}), api::error_response);

  postgres::Listener listener(
      executor, config.text("database_url"), {"terrane_tokens"},
      [&](const std::string&, const std::string& token_id) { tokens.forget(token_id); });
  co_await jobs.fill_reserve();
  http::TlsServerOptions tls{net::read_file(config.text("certificate"), 1 << 20),
                             net::read_file(config.text("key"), 1 << 20), ""};
  server.listen(public_listener_fd, tls);
  http::TlsServerOptions job_tls{net::read_file(config.text("job_certificate"), 1 << 20),
                                 net::read_file(config.text("job_key"), 1 << 20),
                                 net::read_file(config.text("node_ca"), 1 << 20)};
  job_server.listen(job_listener_fd, job_tls);
  log::info("ready");
  while (!co_await stop.wait_for(std::chrono::hours(1))) {
  }
  co_await server.stop(std::chrono::seconds(20));
  co_await job_server.stop(std::chrono::seconds(5));
  co_return 0;
}

}  // namespace

int web_main(const RoleConfig& config) {
  return net::run_role([&](net::Executor executor, net::Stop& stop) { return web(config, executor, stop); });
}

}  // namespace terrane::app
