#include "organization/access.h"

#include "organization/access_sql.h"

namespace terrane::organization {
namespace {

using Kind = api::Principal::Kind;

std::string_view name_of(Kind kind) {
  switch (kind) {
    case Kind::user: return "user";
    case Kind::organization: return "organization";
    case Kind::team: return "team";
    case Kind::run: return "run";
  }
  return "";
}

WorkspaceAccess everything() {
  WorkspaceAccess access;
  access.read = access.read_variables = access.write_variables = true;
  access.read_outputs = access.read_state = access.write_state = true;
  access.queue_runs = access.apply_runs = true;
  access.lock = access.force_unlock = true;
  access.update = access.destroy = access.move = access.own = true;
  return access;
}

/// An organization's token manages workspaces; runs and states are made by people and teams.
WorkspaceAccess of_organization_token() {
  WorkspaceAccess access = everything();
  access.write_state = access.queue_runs = access.apply_runs = false;
  return access;
}

WorkspaceAccess reading_state() {
  WorkspaceAccess access;
  access.read = access.read_outputs = access.read_state = true;
  return access;
}

}  // namespace

Task<OrganizationAccess> access_to_organization(postgres::Tx& tx, const api::Principal& principal,
                                                const std::string& name) {
  OrganizationAccess access;
  postgres::Result result = co_await tx.run(
      sql::access_organization, postgres::Params::of(name, name_of(principal.kind), principal.id));
  std::optional<postgres::Row> row = result.one();
  if (!row) co_return access;
  access.id = row->string("id");
  access.name = row->string("name");
  access.default_project = row->opt_string("default_project").value_or("");
  const bool is_admin = principal.kind == Kind::user && principal.site_admin;
  const bool is_its_run = principal.kind == Kind::run && principal.organization_id == access.id;
  access.manage = is_admin || row->boolean("owns");
  access.create_workspaces = access.manage;
  access.read = access.manage || row->boolean("belongs") || is_its_run;
  co_return access;
}

Task<WorkspaceAccess> access_to_workspace(postgres::Tx& tx, const api::Principal& principal,
                                          const std::string& workspace_id) {
  auto found = co_await access_to_workspaces(tx, principal, {workspace_id});
  co_return found.empty() ? WorkspaceAccess{} : found.begin()->second;
}

Task<std::map<std::string, WorkspaceAccess>> access_to_workspaces(postgres::Tx& tx,
                                                                  const api::Principal& principal,
                                                                  const std::vector<std::string>& ids) {
  postgres::Result rows = co_await tx.run(
      sql::access_workspaces,
      postgres::Params::of(ids, name_of(principal.kind), principal.id, principal.workspace_id));
  std::map<std::string, WorkspaceAccess> out;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const postgres::Row row = rows[i];
    const std::string id = row.string("id");
    if (principal.kind == Kind::run) {
      const bool is_near = row.text("organization_id") == principal.organization_id;
      if (is_near && (principal.workspace_id == id || row.boolean("shares"))) out[id] = reading_state();
    } else if (principal.kind == Kind::user && principal.site_admin) {
      out[id] = everything();
    } else if (row.boolean("owns")) {
      out[id] = principal.kind == Kind::organization ? of_organization_token() : everything();
    }
  }
  co_return out;
}

Task<ProjectAccess> access_to_project(postgres::Tx& tx, const api::Principal& principal,
                                      const std::string& project_id) {
  auto found = co_await access_to_projects(tx, principal, {project_id});
  co_return found.empty() ? ProjectAccess{} : found.begin()->second;
}

Task<std::map<std::string, ProjectAccess>> access_to_projects(postgres::Tx& tx,
                                                              const api::Principal& principal,
                                                              const std::vector<std::string>& ids) {
  postgres::Result rows =
      co_await tx.run(sql::access_projects, postgres::Params::of(ids, name_of(principal.kind), principal.id));
  std::map<std::string, ProjectAccess> out;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const bool is_admin = principal.kind == Kind::user && principal.site_admin;
    const bool owns = is_admin || rows[i].boolean("owns");
    if (owns || rows[i].boolean("belongs")) out[rows[i].string("id")] = {true, owns, owns, owns, owns};
  }
  co_return out;
}

Task<ReadableScope> readable_scope(postgres::Tx& tx, const api::Principal& principal,
                                   const std::string& organization_id) {
  ReadableScope scope;
  if (principal.kind == Kind::run) {
    if (principal.organization_id != organization_id) co_return scope;
    postgres::Result rows = co_await tx.run(sql::access_scope_of_run,
                                            postgres::Params::of(organization_id, principal.workspace_id));
    scope.workspaces = rows[0].strings("workspaces");
    co_return scope;
  }
  postgres::Result rows =
      co_await tx.run(sql::access_organization_by_id,
                      postgres::Params::of(organization_id, name_of(principal.kind), principal.id));
  std::optional<postgres::Row> row = rows.one();
  if (!row) co_return scope;
  const bool is_admin = principal.kind == Kind::user && principal.site_admin;
  scope.all_workspaces = is_admin || row->boolean("owns");
  scope.all_projects = scope.all_workspaces || row->boolean("belongs");
  co_return scope;
}

Task<OrganizationAccess> require_organization(postgres::Tx& tx, const api::Principal& principal,
                                              const std::string& name) {
  OrganizationAccess access = co_await access_to_organization(tx, principal, name);
  if (!access.read) throw Error(Code::not_found, "");
  co_return access;
}

}  // namespace terrane::organization
