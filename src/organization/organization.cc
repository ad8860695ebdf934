#include "organization/organization.h"

#include "base/text.h"
#include "organization/organization_sql.h"
#include "organization/project.h"
#include "user/user.h"

namespace terrane::organization {
namespace {

std::optional<std::string> execution_mode(const json::value& given) {
  if (given.is_string() && (given.get_string() == "remote" || given.get_string() == "local"))
    return std::nullopt;
  return "Default execution mode must be 'remote' or 'local': this installation has no agent pools";
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
    jsonapi::attr<&O::created_at>("created-at", "created_at"),
};

std::optional<std::string> default_project(const void* organization) {
  return static_cast<const Organization*>(organization)->default_project_id;
}
void read_default_project(const postgres::Row& row, std::string_view column, void* organization) {
  static_cast<Organization*>(organization)->default_project_id = row.string(column);
}
const std::array relations{jsonapi::Relation{"default-project", "projects", default_project,
                                             "default_project_id", read_default_project}};

Organization read(const postgres::Row& row) {
  Organization organization = jsonapi::from_row<Organization>(resource(), row);
  organization.id = Id<Organization>(row.string("id"));
  return organization;
}

Error taken(const Error& error) {
  if (postgres::violated_constraint(error) != "organizations_name") return error;
  return Error(Code::unprocessable, "Name has already been taken", "/data/attributes/name");
}

/// Teams, agents, registries and the like are not there, so nobody can do anything with them.
json::object permissions(const OrganizationAccess& access) {
  return {{"can-traverse", access.read},
          {"can-update", access.manage},
          {"can-destroy", access.manage},
          {"can-create-workspace", access.create_workspaces},
          {"can-create-project", access.manage},
          {"can-update-api-token", access.manage},
          {"can-create-team", false},
          {"can-create-workspace-migration", false},
          {"can-deploy-no-code-modules", false},
          {"can-enable-stacks", false},
          {"can-manage-auditing", false},
          {"can-manage-no-code-modules", false},
          {"can-manage-run-tasks", false},
          {"can-update-hyok-configuration", false},
          {"can-update-oauth", false},
          {"can-update-sentinel", false},
          {"can-view-hyok-feature-info", false}};
}

}  // namespace

const jsonapi::Resource& resource() {
  static const jsonapi::Resource table{"organizations", attributes, relations};
  return table;
}

json::object encode(const Organization& organization, const OrganizationAccess& access) {
  json::object out = jsonapi::encode(resource(), &organization, organization.name);
  json::object& shown = out["attributes"].as_object();
  shown["external-id"] = organization.id.text();
  shown["permissions"] = permissions(access);
  shown["is-unified"] = false;
  shown["saml-enabled"] = false;
  shown["owners-team-saml-role-id"] = nullptr;
  shown["two-factor-conformant"] = false;
  shown["trial-expires-at"] = nullptr;
  shown["user-tokens-enabled"] = true;
  out["links"] = json::object{{"self", "/api/v2/organizations/" + organization.name}};
  return out;
}

json::object entitlement_set(const OrganizationAccess& access) {
  json::object attributes_of{{"operations", true}, {"state-storage", true}, {"user-limit", nullptr}};
  for (std::string_view missing :
       {"agents", "audit-logging", "cost-estimation", "global-run-tasks", "policy-enforcement",
        "private-module-registry", "private-run-tasks", "run-tasks", "sentinel", "sso", "teams",
        "vcs-integrations", "waypoint-actions", "waypoint-templates-and-addons"}) {
    attributes_of[missing] = false;
  }
  return {{"id", access.id},
          {"type", "entitlement-sets"},
          {"attributes", std::move(attributes_of)},
          {"links", json::object{{"self", "/api/v2/organizations/" + access.name + "/entitlement-set"}}}};
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
                                                              std::string_view search,
                                                              const jsonapi::Page& page) {
  using Kind = api::Principal::Kind;
  const bool all = principal.kind == Kind::user && principal.site_admin;
  const std::string user = principal.kind == Kind::user ? principal.id : "";
  const std::string& own = principal.organization_id;
  postgres::Result total =
      co_await tx.run(sql::organization_count, postgres::Params::of(all, own, user, search));
  postgres::Result rows = co_await tx.run(
      sql::organization_list, postgres::Params::of(all, own, user, search, page.size, page.offset()));
  std::vector<Organization> organizations;
  for (std::size_t i = 0; i < rows.size(); ++i) organizations.push_back(read(rows[i]));
  co_return std::pair(std::move(organizations), total[0].integer("total"));
}

Task<> insert(postgres::Tx& tx, const Organization& organization, const std::string& owner_id) {
  const Organization& o = organization;
  try {
    co_await tx.run(
        sql::organization_insert,
        postgres::Params::of(o.id, o.name, o.email, o.collaborator_auth_policy, o.default_execution_mode,
                             o.cost_estimation_enabled, o.allow_force_delete_workspaces,
                             o.assessments_enforced, o.session_timeout, o.session_remember));
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
    if (!jobs[i].boolean("applying")) continue;
    throw Error(Code::conflict, "The organization cannot be deleted while run " + jobs[i].string("run_id") +
                                    " is applying. Cancel the run or wait for its end.");
  }
  co_await tx.run(sql::organization_delete_objects, params);
  co_await tx.run(sql::organization_delete_tokens, params);
  co_await tx.run(sql::organization_notify_tokens);
  co_await tx.run(sql::organization_delete, params);
}

}  // namespace terrane::organization
