#pragma once
#include "app/role_config.h"
#include "app/roles/front.h"
#include "configversion/configversion.h"
#include "installation/terraform_version_api.h"
#include "organization/organization_api.h"
#include "registry/module.h"
#include "run/api.h"
#include "run/job_api.h"
#include "run/triggers.h"
#include "state/state.h"
#include "user/user_api.h"
#include "variable/variable_api.h"
#include "workspace/workspace.h"

namespace terrane::app {

/// What the domains of web are built on.
struct WebAdapters {
  net::Executor executor;
  postgres::Database& database;
  redis::Client& redis;
  vault_client::Vault& vault;
  object::ArchivistClient& archivist;
  const object::UrlSigner& urls;
  user::Tokens& tokens;
};

/// Everything that web answers: its domains and their rows. Building it reaches nothing, so `terrane routes`
/// builds it, too.
struct WebDomains {
  WebDomains(WebAdapters adapters, const RoleConfig& config);

  Front front;
  api::Includes includes;  ///< what the domains below can include in each other's answers
  user::UserApi users;
  organization::OrganizationApi organizations;
  organization::ProjectApi projects;
  installation::TerraformVersionApi versions;
  workspace::Api workspaces;
  variable::VariableApi variables;
  configversion::Api configurations;
  registry::Api modules;
  state::Api states;
  run::Api runs;
  run::TriggerApi triggers;
  run::JobApi jobs;
  http::Router router;      ///< the public listener's
  http::Router job_router;  ///< the job API's
};

/// All rows of both listeners, one a line: method, pattern, whether a token is asked for.
std::string routes_text();

}  // namespace terrane::app
