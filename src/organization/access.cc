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
  access.update = access.destroy = true;
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
  const bool is_admin = principal.kind == Kind::user && principal.site_admin;
  const bool is_its_run = principal.kind == Kind::run && principal.organization_id == access.id;
  access.manage = is_admin || row->boolean("owns");
  access.create_workspaces = access.manage;
  access.read = access.manage || row->boolean("belongs") || is_its_run;
  co_return access;
}

Task<WorkspaceAccess> access_to_workspace(postgres::Tx& tx, const api::Principal& principal,
                                          const std::string& workspace_id) {
  postgres::Result result = co_await tx.run(
      sql::access_workspace,
      postgres::Params::of(workspace_id, name_of(principal.kind), principal.id, principal.workspace_id));
  std::optional<postgres::Row> row = result.one();
  if (!row) co_return WorkspaceAccess{};
  if (principal.kind == Kind::run) {
    const bool is_near = row->text("organization_id") == principal.organization_id;
    const bool may_read = principal.workspace_id == workspace_id || row->boolean("shares");
    co_return is_near&& may_read ? reading_state() : WorkspaceAccess{};
  }
  if (principal.kind == Kind::user && principal.site_admin) co_return everything();
  if (!row->boolean("owns")) co_return WorkspaceAccess{};
  co_return principal.kind == Kind::organization ? of_organization_token() : everything();
}

Task<OrganizationAccess> require_organization(postgres::Tx& tx, const api::Principal& principal,
                                              const std::string& name) {
  OrganizationAccess access = co_await access_to_organization(tx, principal, name);
  if (!access.read) throw Error(Code::not_found, "");
  co_return access;
}

}  // namespace terrane::organization
