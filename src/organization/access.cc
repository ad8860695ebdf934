#include "organization/access.h"

#include "base/text.h"
#include "organization/access_sql.h"

namespace terrane::organization {
namespace {

using Kind = api::Principal::Kind;

bool is_site_admin(const api::Principal& principal) {
  return principal.kind == Kind::user && principal.site_admin;
}

/// Whether an organization lets nobody of this kind in: a disabled one is open to site admins, and to runs
/// that go on; one without user tokens to teams and its own token.
bool is_closed(const api::Principal& principal, const postgres::Row& row) {
  if (is_site_admin(principal) || principal.kind == Kind::run) return false;
  return row.boolean("is_disabled") || (principal.kind == Kind::user && !row.boolean("user_tokens_enabled"));
}

WorkspaceAccess everything() {
  WorkspaceAccess access;
  access.read = access.read_variables = access.write_variables = true;
  access.read_outputs = access.read_state = access.write_state = true;
  access.queue_runs = access.apply_runs = true;
  access.lock = access.force_unlock = true;
  access.update = access.destroy = access.move = access.own = true;
  access.manage_teams = access.manage_run_tasks = access.read_sentinel_mocks = true;
  return access;
}

/// An organization's token manages workspaces; runs, states and locks are made by people and teams.
WorkspaceAccess of_organization_token() {
  WorkspaceAccess access = everything();
  access.write_state = access.queue_runs = access.apply_runs = false;
  access.lock = false;
  return access;
}

WorkspaceAccess of_run_token() {
  WorkspaceAccess access;
  access.read = access.read_outputs = access.read_state = access.is_run = true;
  return access;
}

/// Rights of teams: what the flags in the organization say, and what was granted here or for the project.
WorkspaceAccess of_teams(const postgres::Row& row) {
  if (row.boolean("manages")) {
    WorkspaceAccess access = everything();
    access.move = row.boolean("manages_projects") || row.boolean("moves");
    access.own = row.boolean("owns");
    return access;
  }
  const bool administers = row.boolean("administers");
  const bool reads = row.boolean("reads");
  WorkspaceAccess access;
  access.read = reads || row.boolean("sees") || row.boolean("granted");
  access.read_variables = reads || row.boolean("reads_variables");
  access.write_variables = row.boolean("writes_variables");
  access.read_outputs = reads || row.boolean("reads_outputs");
  access.read_state = reads || row.boolean("reads_state");
  access.write_state = row.boolean("writes_state");
  access.queue_runs = row.boolean("plans");
  access.apply_runs = row.boolean("applies");
  access.lock = row.boolean("locks");
  access.force_unlock = access.update = access.manage_teams = administers;
  access.destroy = administers || row.boolean("deletes");
  access.move = row.boolean("moves");
  access.manage_run_tasks = row.boolean("manages_tasks");
  access.read_sentinel_mocks = row.boolean("reads_mocks");
  return access;
}

WorkspaceAccess workspace_access(const api::Principal& principal, const postgres::Row& row) {
  if (is_closed(principal, row)) return {};
  switch (principal.kind) {
    case Kind::user: return principal.site_admin ? everything() : of_teams(row);
    case Kind::team: return of_teams(row);
    case Kind::organization:
      return row.boolean("is_its_organization") ? of_organization_token() : WorkspaceAccess{};
    case Kind::run: {
      const bool is_near = row.text("organization_id") == principal.organization_id;
      return is_near && row.boolean("shares") ? of_run_token() : WorkspaceAccess{};
    }
    case Kind::audit_trails: return {};
  }
  return {};
}

ProjectAccess project_access(const api::Principal& principal, const postgres::Row& row) {
  ProjectAccess access;
  if (is_closed(principal, row)) return access;
  if (is_site_admin(principal) || row.boolean("is_its_organization") || row.boolean("manages")) {
    access.read = access.update = access.destroy = true;
    access.create_workspaces = access.delete_workspaces = access.move_workspaces = true;
    access.read_teams = access.manage_teams = true;
    access.read_variable_sets = access.write_variable_sets = true;
  } else {
    // Who manages all workspaces makes new ones in the default project.
    const bool all_workspaces = row.boolean("manages_workspaces");
    access.read = all_workspaces || row.boolean("reads") || row.boolean("granted");
    access.update = row.boolean("updates");
    access.destroy = row.boolean("destroys");
    access.create_workspaces =
        row.boolean("creates_workspaces") || (all_workspaces && row.boolean("is_default"));
    access.delete_workspaces = all_workspaces || row.boolean("deletes_workspaces");
    access.move_workspaces = row.boolean("moves_workspaces");
    access.read_teams = row.boolean("reads_teams");
    access.manage_teams = row.boolean("manages_teams");
    access.read_variable_sets = all_workspaces || row.boolean("reads_sets");
    access.write_variable_sets = all_workspaces || row.boolean("writes_sets");
  }
  return access;
}

/// Each right by its column, after the rights that imply it.
void read_flags(const postgres::Row& row, OrganizationAccess& access) {
  const bool all = access.manage;
  auto flag = [&](std::string_view column) { return all || row.boolean(column); };
  access.manage_projects = flag("manage_projects");
  access.manage_workspaces = access.manage_projects || flag("manage_workspaces");
  access.manage_agent_pools = flag("manage_agent_pools");
  access.read_workspaces = access.manage_workspaces || access.manage_agent_pools || flag("read_workspaces");
  access.read_projects = access.manage_workspaces || access.manage_agent_pools || flag("read_projects");
  access.create_workspaces = access.manage_workspaces;
  access.manage_organization_access = flag("manage_organization_access");
  access.manage_teams = access.manage_organization_access || flag("manage_teams");
  access.manage_membership = access.manage_teams || flag("manage_membership");
  access.access_secret_teams = flag("access_secret_teams");
  access.manage_policies = flag("manage_policies");
  access.manage_policy_overrides = flag("manage_policy_overrides");
  access.manage_vcs_settings = flag("manage_vcs_settings");
  access.manage_run_tasks = flag("manage_run_tasks");
  access.manage_modules = flag("manage_modules");
  access.manage_providers = flag("manage_providers");
}

OrganizationAccess organization_access(const api::Principal& principal, const postgres::Row& row) {
  OrganizationAccess access;
  if (is_closed(principal, row)) return access;
  access.id = row.string("id");
  access.name = row.string("name");
  access.default_project = row.string("default_project");
  const bool is_its_run = principal.kind == Kind::run && principal.organization_id == access.id;
  const bool is_itself = row.boolean("is_itself");
  access.own = is_site_admin(principal) || row.boolean("owns");
  access.manage = access.own || is_itself;
  access.read = access.manage || row.boolean("belongs") || is_its_run;
  read_flags(row, access);
  access.manage_ssh_keys = access.manage_vcs_settings && !is_itself;
  return access;
}

}  // namespace

std::string_view kind_name(Kind kind) {
  switch (kind) {
    case Kind::user: return "user";
    case Kind::organization: return "organization";
    case Kind::team: return "team";
    case Kind::run: return "run";
    case Kind::audit_trails: return "audit-trails";
  }
  return "";
}

Task<std::map<std::string, OrganizationAccess>> access_to_organizations(
    postgres::Tx& tx, const api::Principal& principal, const std::vector<std::string>& names) {
  std::map<std::string, OrganizationAccess> found;
  if (names.empty() || principal.kind == Kind::audit_trails) co_return found;
  std::vector<std::string> lowered;
  for (const std::string& name : names) lowered.push_back(lower(name));
  postgres::Result rows = co_await tx.run(
      sql::access_organizations, postgres::Params::of(lowered, kind_name(principal.kind), principal.id));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    OrganizationAccess access = organization_access(principal, rows[i]);
    if (access.read) found.emplace(access.id, access);
  }
  co_return found;
}

Task<OrganizationAccess> access_to_organization(postgres::Tx& tx, const api::Principal& principal,
                                                const std::string& name) {
  if (principal.kind == Kind::audit_trails) co_return OrganizationAccess{};
  postgres::Result rows = co_await tx.run(
      sql::access_organization, postgres::Params::of(name, kind_name(principal.kind), principal.id));
  if (rows.empty()) co_return OrganizationAccess{};
  OrganizationAccess access = organization_access(principal, rows[0]);
  co_return access.read ? access : OrganizationAccess{};
}

Task<std::map<std::string, WorkspaceAccess>> access_to_workspaces(postgres::Tx& tx,
                                                                  const api::Principal& principal,
                                                                  const std::vector<std::string>& ids) {
  std::map<std::string, WorkspaceAccess> found;
  if (ids.empty()) co_return found;
  postgres::Result rows = co_await tx.run(
      sql::access_workspaces,
      postgres::Params::of(ids, kind_name(principal.kind), principal.id, principal.workspace_id));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    WorkspaceAccess access = workspace_access(principal, rows[i]);
    if (access.read) found.emplace(rows[i].string("id"), access);
  }
  co_return found;
}

Task<WorkspaceAccess> access_to_workspace(postgres::Tx& tx, const api::Principal& principal,
                                          const std::string& workspace_id) {
  postgres::Result rows = co_await tx.run(
      sql::access_workspace,
      postgres::Params::of(workspace_id, kind_name(principal.kind), principal.id, principal.workspace_id));
  if (rows.empty()) co_return WorkspaceAccess{};
  WorkspaceAccess access = workspace_access(principal, rows[0]);
  co_return access.read ? access : WorkspaceAccess{};
}

Task<std::map<std::string, ProjectAccess>> access_to_projects(postgres::Tx& tx,
                                                              const api::Principal& principal,
                                                              const std::vector<std::string>& ids) {
  std::map<std::string, ProjectAccess> found;
  if (ids.empty() || principal.kind == Kind::run || principal.kind == Kind::audit_trails) co_return found;
  postgres::Result rows = co_await tx.run(sql::access_projects,
                                          postgres::Params::of(ids, kind_name(principal.kind), principal.id));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    ProjectAccess access = project_access(principal, rows[i]);
    if (access.read) found.emplace(rows[i].string("id"), access);
  }
  co_return found;
}

Task<ProjectAccess> access_to_project(postgres::Tx& tx, const api::Principal& principal,
                                      const std::string& project_id) {
  const std::vector<std::string> ids{project_id};
  std::map<std::string, ProjectAccess> found = co_await access_to_projects(tx, principal, ids);
  co_return found.empty() ? ProjectAccess{} : found.begin()->second;
}

Task<OrganizationAccess> require_organization(postgres::Tx& tx, const api::Principal& principal,
                                              const std::string& name) {
  OrganizationAccess access = co_await access_to_organization(tx, principal, name);
  if (!access.read) throw Error(Code::not_found, "");
  co_return access;
}

Task<ReadableScope> readable_scope(postgres::Tx& tx, const api::Principal& principal,
                                   const std::string& organization_id) {
  ReadableScope scope;
  switch (principal.kind) {
    case Kind::audit_trails: co_return scope;
    case Kind::organization:
      scope.all_workspaces = scope.all_projects = principal.id == organization_id;
      co_return scope;
    case Kind::run: {
      if (principal.organization_id != organization_id) co_return scope;
      postgres::Result rows = co_await tx.run(sql::access_scope_of_run,
                                              postgres::Params::of(organization_id, principal.workspace_id));
      scope.workspaces = rows[0].strings("workspaces");
      co_return scope;
    }
    case Kind::user:
    case Kind::team: break;
  }
  if (is_site_admin(principal)) {
    scope.all_workspaces = scope.all_projects = true;
    co_return scope;
  }
  postgres::Result rows = co_await tx.run(
      sql::access_scope, postgres::Params::of(kind_name(principal.kind), principal.id, organization_id));
  scope.all_workspaces = rows[0].boolean("all_workspaces");
  scope.all_projects = rows[0].boolean("all_projects");
  scope.projects = rows[0].strings("projects");
  scope.workspaces = rows[0].strings("workspaces");
  co_return scope;
}

}  // namespace terrane::organization
