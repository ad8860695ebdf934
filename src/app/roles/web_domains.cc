#include "app/roles/web_domains.h"

#include <boost/asio/io_context.hpp>

#include "agent/schema.h"
#include "api/openapi.h"
#include "configversion/schema.h"
#include "installation/schema.h"
#include "organization/schema.h"
#include "registry/schema.h"
#include "run/schema.h"
#include "ssh_key/schema.h"
#include "state/schema.h"
#include "team/schema.h"
#include "user/schema.h"
#include "variable/schema.h"
#include "vault_client/vault_client.h"
#include "workspace/schema.h"

namespace terrane::app {
namespace {

run::PhaseLimits limits_of(const RoleConfig& config) {
  run::PhaseLimits limits;
  limits.plan_time = std::chrono::seconds(config.number("plan_timeout"));
  limits.apply_time = std::chrono::seconds(config.number("apply_timeout"));
  limits.memory_bytes = config.number("memory_bytes");
  limits.cpus = static_cast<double>(config.number("cpus"));
  limits.processes = config.number("processes");
  limits.disk_bytes = config.number("disk_bytes");
  limits.grace = std::chrono::seconds(config.number("grace"));
  return limits;
}

}  // namespace

WebDomains::WebDomains(WebAdapters to, const RoleConfig& config)
    : front({to.database, to.redis, to.vault, to.archivist, to.urls}),
      users(to.database, to.tokens, includes),
      organizations(to.database, to.tokens, includes),
      projects(to.database, includes),
      subscriptions(to.database, includes),
      retention(to.database),
      admin_organizations(to.database, to.tokens, includes),
      teams(to.database, to.tokens, includes),
      authentication_tokens(to.database, to.tokens),
      memberships(to.database, includes),
      workspace_grants(to.database, team::workspace_grant_place()),
      project_grants(to.database, team::project_grant_place()),
      versions(to.database),
      workspaces(to.database, includes),
      workspace_tags(to.database),
      workspace_retention(to.database),
      agent_pools(to.database, to.tokens, includes),
      ssh_keys(to.database, to.vault),
      variables(to.database, to.vault, includes),
      variable_sets(to.database, to.vault, includes),
      configurations(
          {to.database, to.urls, "https://" + config.text("public_host"), includes, registry::module_access}),
      modules(to.database, to.urls, "https://" + config.text("public_host")),
      states(
          {to.database, to.archivist, to.vault, to.urls, "https://" + config.text("public_host"), includes}),
      runs({to.executor, to.database, to.vault, to.urls, "https://" + config.text("public_host"), includes}),
      triggers(to.database, includes),
      jobs({to.executor, to.database, to.vault, to.archivist, to.tokens, to.urls, config.text("public_host"),
            limits_of(config)}) {
  front.add_public_routes(router);
  users.add_routes(router);
  organizations.add_routes(router);
  projects.add_routes(router);
  teams.add_routes(router);
  authentication_tokens.add_routes(router);
  authentication_tokens.serve("agent", agent::may_manage_token);
  memberships.add_routes(router);
  workspace_grants.add_routes(router);
  project_grants.add_routes(router);
  subscriptions.add_routes(router);
  retention.add_routes(router);
  admin_organizations.add_routes(router);
  versions.add_routes(router);
  ip_ranges.add_routes(router);
  workspaces.add_routes(router);
  workspace_tags.add_routes(router);
  workspace_retention.add_routes(router);
  agent_pools.add_routes(router);
  ssh_keys.add_routes(router);
  variables.add_routes(router);
  variable_sets.add_routes(router);
  configurations.add_routes(router);
  modules.add_routes(router);
  states.add_routes(router);
  runs.add_routes(router);
  triggers.add_routes(router);
  jobs.add_routes(job_router);
  front.add_blob_routes(job_router);
  includes.require_complete();
}

namespace {

/// Gives the domains of a web that reaches nothing to `use`: these adapters lead nowhere.
void with_domains(const std::function<void(const WebDomains&)>& use) {
  boost::asio::io_context context;
  net::Executor executor = context.get_executor();
  postgres::Database database(executor, {});
  redis::Client redis(executor, {});
  vault_client::VaultClient vault(executor, {}, {});
  object::ArchivistClient archivist(executor, "");
  const object::UrlSigner urls{Secret()};
  user::Tokens tokens(database, Secret());
  const RoleConfig config({{"public_host", "localhost"},
                           {"plan_timeout", 0},
                           {"apply_timeout", 0},
                           {"memory_bytes", 0},
                           {"cpus", 0},
                           {"processes", 0},
                           {"disk_bytes", 0},
                           {"grace", 0}});
  const WebDomains domains({executor, database, redis, vault, archivist, urls, tokens}, config);
  use(domains);
}

std::vector<jsonapi::Schema> schemas() {
  std::vector<jsonapi::Schema> out;
  for (auto of : {user::schemas, organization::schemas, installation::schemas, workspace::schemas,
                  variable::schemas, configversion::schemas, state::schemas, run::schemas, team::schemas,
                  agent::schemas, ssh_key::schemas, registry::schemas}) {
    for (jsonapi::Schema& schema : of()) out.push_back(std::move(schema));
  }
  return out;
}

}  // namespace

std::string routes_text() {
  std::string out;
  with_domains([&out](const WebDomains& domains) {
    for (const http::Router* router : {&domains.router, &domains.job_router}) {
      for (const http::Route& row : router->rows()) {
        std::string method(http::name(row.method));
        method.resize(8, ' ');
        out += method + row.pattern + (row.authenticated ? "" : "  (no token)") + "\n";
      }
    }
  });
  return out;
}

api::OpenApi openapi() {
  api::OpenApi out;
  with_domains([&out](const WebDomains& domains) { out = api::openapi(domains.router, schemas()); });
  return out;
}

}  // namespace terrane::app
