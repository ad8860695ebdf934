#pragma once
#include "api/openapi.h"
#include "app/role_config.h"
#include "app/roles/front.h"
#include "configversion/configversion.h"
#include "installation/terraform_version_api.h"
#include "organization/organization_api.h"
#include "run/api.h"
#include "run/job_api.h"
#include "state/state.h"
#include "team/grant_api.h"
#include "team/membership_api.h"
#include "team/team_api.h"
#include "team/token_api.h"
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
  user::UserApi users;
  organization::OrganizationApi organizations;
  organization::ProjectApi projects;
  team::TeamApi teams;
  team::TokenApi authentication_tokens;
  team::MembershipApi memberships;
  team::GrantApi workspace_grants;
  team::GrantApi project_grants;
  installation::TerraformVersionApi versions;
  workspace::Api workspaces;
  variable::VariableApi variables;
  configversion::Api configurations;
  state::Api states;
  run::Api runs;
  run::JobApi jobs;
  http::Router router;      ///< the public listener's
  http::Router job_router;  ///< the job API's
};

/// All rows of both listeners, one a line: method, pattern, whether a token is asked for.
std::string routes_text();

/// The OpenAPI document of the public listener's API v2.
api::OpenApi openapi();

}  // namespace terrane::app
