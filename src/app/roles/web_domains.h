#pragma once
#include "agent/pool.h"
#include "agent/pool_api.h"
#include "api/openapi.h"
#include "app/role_config.h"
#include "app/roles/front.h"
#include "configversion/configversion.h"
#include "installation/ip_ranges_api.h"
#include "installation/terraform_version_api.h"
#include "organization/admin_api.h"
#include "organization/organization_api.h"
#include "organization/retention_api.h"
#include "organization/subscription_api.h"
#include "registry/module.h"
#include "run/api.h"
#include "run/job_api.h"
#include "run/triggers.h"
#include "ssh_key/ssh_key_api.h"
#include "state/state.h"
#include "team/grant_api.h"
#include "team/membership_api.h"
#include "team/team_api.h"
#include "team/token_api.h"
#include "user/user_api.h"
#include "variable/variable_api.h"
#include "variable/variable_set_api.h"
#include "workspace/retention_api.h"
#include "workspace/tags.h"
#include "workspace/workspace_api.h"

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
  organization::SubscriptionApi subscriptions;
  organization::RetentionApi retention;
  organization::AdminApi admin_organizations;
  team::TeamApi teams;
  team::TokenApi authentication_tokens;
  team::MembershipApi memberships;
  team::GrantApi workspace_grants;
  team::GrantApi project_grants;
  installation::TerraformVersionApi versions;
  installation::IpRangesApi ip_ranges;
  workspace::Api workspaces;
  workspace::TagsApi workspace_tags;
  workspace::RetentionApi workspace_retention;
  agent::PoolApi agent_pools;
  ssh_key::Api ssh_keys;
  variable::VariableApi variables;
  variable::VariableSetApi variable_sets;
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

/// The OpenAPI document of the public listener's API v2.
api::OpenApi openapi();

}  // namespace terrane::app
