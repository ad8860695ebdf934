#include "organization/organization.h"

#include "base/text.h"
#include "organization/organization_sql.h"
#include "organization/project.h"
#include "user/user.h"

namespace terrane::organization {
namespace {

std::optional<std::string> execution_mode(const json::value& given) {
  if (given.is_string() &&
      (given.get_string() == "remote" || given.get_string() == "local" || given.get_string() == "agent")) {
    return std::nullopt;
  }
  return "Default execution mode must be 'remote', 'local' or 'agent'";
}

std::optional<std::string> auth_policy(const json::value& given) {
  if (given.is_string() && given.get_string() == "password") return std::nullopt;
  return "Collaborator auth policy must be 'password': this installation has no second factor";
}

std::optional<std::string> minutes(const json::value& given) {
  if (given.is_null() || (given.is_int64() && given.get_int64() >= 1 && given.get_int64() <= 5'256'000))
    return std::nullopt;
  return "must be from 1 to 5256000 minutes";
}

std::optional<std::string> role_id(const json::value& given) {
  if (given.is_string() && given.get_string().size() > 256)
    return "Owners team SAML role ID is too long (maximum is 256 bytes)";
  return std::nullopt;
}

std::optional<std::string> organization_name(const json::value& given) {
  std::optional<std::string> wrong = jsonapi::valid_name(given);
  if (wrong) return "Name " + *wrong;
  if (given.is_string() && given.get_string().size() < 3)
    return "Name is too short (minimum is 3 characters)";
  return std::nullopt;
}

constexpr unsigned writable = jsonapi::create | jsonapi::update;
using O = Organization;
const std::array attributes{
    jsonapi::attr<&O::name>("name", "name", writable, organization_name),
    jsonapi::attr<&O::email>("email", "email", writable, user::valid_email),
    jsonapi::attr<&O::collaborator_auth_policy>("collaborator-auth-policy", "collaborator_auth_policy",
                                                writable, auth_policy),
    jsonapi::attr<&O::default_execution_mode>("default-execution-mode", "default_execution_mode", writable,
                                              execution_mode),
    jsonapi::attr<&O::cost_estimation_enabled>("cost-estimation-enabled", "cost_estimation_enabled",
                                               writable),
    jsonapi::attr<&O::allow_force_delete_workspaces>("allow-force-delete-workspaces",
                                                     "allow_force_delete_workspaces", writable),
    jsonapi::attr<&O::assessments_enforced>("assessments-enforced", "assessments_enforced", writable),
    jsonapi::attr<&O::session_timeout>("session-timeout", "session_timeout", writable, minutes),
    jsonapi::attr<&O::session_remember>("session-remember", "session_remember", writable, minutes),
    jsonapi::attr<&O::owners_team_saml_role_id>("owners-team-saml-role-id", "owners_team_saml_role_id",
                                                writable, role_id),
    jsonapi::attr<&O::send_passing_statuses_for_untriggered_speculative_plans>(
        "send-passing-statuses-for-untriggered-speculative-plans",
        "send_passing_statuses_for_untriggered_speculative_plans", writable),
    jsonapi::attr<&O::aggregated_commit_status_enabled>("aggregated-commit-status-enabled",
                                                        "aggregated_commit_status_enabled", writable),
    jsonapi::attr<&O::speculative_plan_management_enabled>("speculative-plan-management-enabled",
                                                           "speculative_plan_management_enabled", writable),
    jsonapi::attr<&O::user_tokens_enabled>("user-tokens-enabled", "user_tokens_enabled", writable),
    jsonapi::attr<&O::created_at>("created-at", "created_at"),
    jsonapi::attr<&O::entitlements>("entitlements", "entitlements", jsonapi::hidden),
    jsonapi::attr<&O::plan>("plan-identifier", "plan"),
    jsonapi::attr<&O::plan_is_trial>("plan-is-trial", "plan_is_trial"),
    jsonapi::attr<&O::plan_ends_at>("plan-expires-at", "plan_ends_at"),
    jsonapi::attr<&O::module_test_limit>("remaining-testable-count", "module_test_limit"),
    jsonapi::attr<&O::retention_policy_id>("retention-policy-id", "retention_policy_id", jsonapi::hidden),
    jsonapi::attr<&O::retention_deletes>("retention-deletes", "retention_deletes", jsonapi::hidden),
};

std::optional<std::string> default_project(const void* organization) {
  return static_cast<const Organization*>(organization)->default_project_id;
}
void read_default_project(const postgres::Row& row, std::string_view column, void* organization) {
  static_cast<Organization*>(organization)->default_project_id = row.string(column);
}
std::optional<std::string> default_agent_pool(const void* organization) {
  return static_cast<const Organization*>(organization)->default_agent_pool_id;
}
void read_default_agent_pool(const postgres::Row& row, std::string_view column, void* organization) {
  static_cast<Organization*>(organization)->default_agent_pool_id = row.opt_string(column);
}
const std::array relations{jsonapi::Relation{"default-project", "projects", default_project,
                                             "default_project_id", read_default_project},
                           jsonapi::Relation{"default-agent-pool", "agent-pools", default_agent_pool,
                                             "default_agent_pool_id", read_default_agent_pool}};

Organization read(const postgres::Row& row) {
  Organization organization = jsonapi::from_row<Organization>(resource(), row);
  organization.id = Id<Organization>(row.string("id"));
  return organization;
}

Error taken(const Error& error) {
  if (postgres::violated_constraint(error) != "organizations_name") return error;
  return Error(Code::unprocessable, "Name has already been taken", "/data/attributes/name");
}

/// What the organization is not entitled to, nobody can do with it.
json::object permissions(const Organization& organization, const OrganizationAccess& access) {
  auto managed = [&](std::string_view entitlement) {
    return access.manage && organization.is_entitled_to(entitlement);
  };
  auto entitled = [&](bool may, std::string_view entitlement) {
    return may && organization.is_entitled_to(entitlement);
  };
  return {{"can-traverse", access.read},
          {"can-update", access.own},
          {"can-destroy", access.own},
          {"can-create-workspace", access.create_workspaces},
          {"can-create-project", access.manage_projects},
          {"can-update-api-token", access.own},
          {"can-update-authentication-token", access.own},
          {"can-update-ssh-keys", access.manage_ssh_keys},
          {"can-manage-varsets", access.manage_workspaces},
          {"can-read-varsets", access.read},
          {"can-update-agent-pools", entitled(access.manage_agent_pools, "agents")},
          {"can-create-team", entitled(access.manage_teams, "teams")},
          {"can-manage-users", access.manage_membership},
          {"can-create-workspace-migration", false},
          {"can-deploy-no-code-modules", managed("no-code-modules")},
          {"can-manage-no-code-modules", managed("no-code-modules")},
          {"can-enable-stacks", false},
          {"can-manage-auditing", managed("audit-logging")},
          {"can-manage-run-tasks", entitled(access.manage_run_tasks, "run-tasks")},
          {"can-update-oauth", entitled(access.manage_vcs_settings, "vcs-integrations")},
          {"can-update-sentinel", entitled(access.manage_policies, "sentinel")},
          {"can-update-hyok-configuration", false},
          {"can-view-hyok-feature-info", false}};
}

json::object retention_policy_linkage(const Organization& organization) {
  if (!organization.retention_policy_id) return {{"data", nullptr}};
  const char* type = organization.retention_deletes ? "data-retention-policy-delete-olders"
                                                    : "data-retention-policy-dont-deletes";
  return {{"data", json::object{{"id", *organization.retention_policy_id}, {"type", type}}}};
}

}  // namespace

const jsonapi::Resource& resource() {
  static const jsonapi::Resource table{"organizations", attributes, relations};
  return table;
}

bool Organization::is_entitled_to(std::string_view what) const {
  return std::ranges::find(entitlements, what) != entitlements.end();
}

json::object encode(const Organization& organization, const OrganizationAccess& access) {
  json::object out = jsonapi::encode(resource(), &organization, organization.name);
  json::object& shown = out["attributes"].as_object();
  shown["external-id"] = organization.id.text();
  shown["permissions"] = permissions(organization, access);
  shown["trial-expires-at"] =
      organization.plan_is_trial && organization.plan_ends_at ? shown["plan-expires-at"] : json::value();
  // These depend on what this installation does not have: other platforms, SAML, second factors, one's own
  // encryption keys, stacks.
  shown["is-unified"] = false;
  shown["saml-enabled"] = false;
  shown["two-factor-conformant"] = false;
  shown["enforce-hyok"] = false;
  shown["stacks-enabled"] = false;
  out["relationships"].as_object()["data-retention-policy"] = retention_policy_linkage(organization);
  out["links"] = json::object{{"self", "/api/v2/organizations/" + organization.name}};
  return out;
}

Task<OrganizationAccess> require_managed(postgres::Tx& tx, const http::Request& request) {
  OrganizationAccess access =
      co_await require_organization(tx, api::principal(request), request.parameter("organization"));
  if (!access.manage) throw Error(Code::not_found, "");
  co_return access;
}

Task<> settle_default_agent_pool(postgres::Tx& tx, const json::object& data, Organization& organization,
                                 json::object& columns) {
  const std::string pointer = "/data/relationships/default-agent-pool";
  std::optional<std::string> given = jsonapi::related_id(data, "default-agent-pool");
  if (organization.default_execution_mode != "agent") {
    if (given) {
      throw Error(Code::unprocessable,
                  "Default agent pool must not be specified unless using 'agent' execution mode", pointer);
    }
    organization.default_agent_pool_id.reset();
    columns["default_agent_pool_id"] = nullptr;
    co_return;
  }
  if (given) organization.default_agent_pool_id = given;
  if (!organization.default_agent_pool_id) {
    throw Error(Code::unprocessable, "Default agent pool must be specified when using 'agent' execution mode",
                pointer);
  }
  if (!given) co_return;
  postgres::Result pool =
      co_await tx.run(sql::organization_has_agent_pool, postgres::Params::of(*given, organization.id));
  if (pool.empty())
    throw Error(Code::unprocessable, "There is no such agent pool in this organization", pointer);
  if (!pool[0].boolean("organization_scoped")) {
    throw Error(Code::unprocessable, "Default agent pool must be scoped to the whole organization", pointer);
  }
  columns["default_agent_pool_id"] = *given;
}

Task<std::optional<Organization>> find(postgres::Tx& tx, const Id<Organization>& id) {
  postgres::Result result = co_await tx.run(sql::organization_find, postgres::Params::of(id));
  std::optional<postgres::Row> row = result.one();
  if (!row) co_return std::nullopt;
  co_return read(*row);
}

Task<std::vector<Organization>> find_by_names(postgres::Tx& tx, const std::vector<std::string>& names) {
  postgres::Result rows = co_await tx.run(sql::organization_find_by_names, postgres::Params::of(names));
  std::vector<Organization> organizations;
  for (std::size_t i = 0; i < rows.size(); ++i) organizations.push_back(read(rows[i]));
  co_return organizations;
}

Task<std::pair<std::vector<Organization>, std::int64_t>> list(postgres::Tx& tx,
                                                              const api::Principal& principal,
                                                              const Search& search,
                                                              const jsonapi::Page& page) {
  using Kind = api::Principal::Kind;
  const bool all = principal.kind == Kind::user && principal.site_admin;
  const std::string user = principal.kind == Kind::user ? principal.id : "";
  const std::string own = principal.kind == Kind::audit_trails ? "" : principal.organization_id;
  postgres::Result total =
      co_await tx.run(sql::organization_count,
                      postgres::Params::of(all, own, user, search.name_or_email, search.name, search.email));
  postgres::Result rows = co_await tx.run(
      sql::organization_list, postgres::Params::of(all, own, user, search.name_or_email, search.name,
                                                   search.email, page.size, page.offset()));
  std::vector<Organization> organizations;
  for (std::size_t i = 0; i < rows.size(); ++i) organizations.push_back(read(rows[i]));
  co_return std::pair(std::move(organizations), total[0].integer("total"));
}

Task<> insert(postgres::Tx& tx, const Organization& organization, const std::string& owner_id) {
  const Organization& o = organization;
  try {
    co_await tx.run(sql::organization_insert,
                    postgres::Params::of(o.id, o.name, o.email, o.collaborator_auth_policy,
                                         o.default_execution_mode, o.cost_estimation_enabled,
                                         o.allow_force_delete_workspaces, o.assessments_enforced,
                                         o.session_timeout, o.session_remember, o.owners_team_saml_role_id,
                                         o.send_passing_statuses_for_untriggered_speculative_plans,
                                         o.aggregated_commit_status_enabled,
                                         o.speculative_plan_management_enabled, o.user_tokens_enabled));
  } catch (const Error& error) {
    throw taken(error);
  }
  const std::string team_id = "team-" + random_id_suffix();
  co_await tx.run(sql::organization_insert_owners, postgres::Params::of(team_id, o.id, owner_id));
  Project project;
  project.id = Id<Project>(o.default_project_id);
  project.name = "Default Project";
  project.is_default = true;
  co_await insert(tx, project, o.id.text());
}

Task<> update(postgres::Tx& tx, const Id<Organization>& id, const json::object& columns) {
  try {
    co_await tx.run(sql::organization_update, postgres::Params::of(id, columns));
  } catch (const Error& error) {
    throw taken(error);
  }
  if (columns.contains("name")) co_await tx.run(sql::organization_notify_tokens);
}

Task<> remove(postgres::Tx& tx, const Id<Organization>& id) {
  postgres::Params params = postgres::Params::of(id);
  co_await tx.run(sql::organization_lock, params);
  co_await tx.run(sql::organization_lock_workspaces, params);
  postgres::Result jobs = co_await tx.run(sql::organization_lock_jobs, params);
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    if (!jobs[i].boolean("executing")) continue;
    throw Error(Code::conflict, "The organization cannot be deleted while run " + jobs[i].string("run_id") +
                                    " executes its " + jobs[i].string("phase") +
                                    ". Cancel the run or wait for its end.");
  }
  co_await tx.run(sql::organization_delete_objects, params);
  co_await tx.run(sql::organization_delete_tokens, params);
  co_await tx.run(sql::organization_notify_tokens);
  co_await tx.run(sql::organization_delete, params);
}

}  // namespace terrane::organization
