#pragma once
#include <optional>
#include <string>

#include "api/api.h"
#include "postgres/database.h"

namespace terrane::organization {

/// What a principal may do with one organization. Not even `read`: answer not_found.
struct OrganizationAccess {
  std::string id;  ///< the organization's own id (`org-…`); API v2 shows its name as id
  std::string name;
  bool read = false;
  bool create_workspaces = false;
  bool manage = false;  ///< change or delete it, its members and settings
};

/// What a principal may do with one workspace. Without `read` the workspace does not exist for the principal.
struct WorkspaceAccess {
  bool read = false;
  bool read_variables = false, write_variables = false;
  bool read_outputs = false, read_state = false, write_state = false;
  bool queue_runs = false, apply_runs = false;
  bool lock = false, force_unlock = false;
  bool update = false, destroy = false;
};

/// The one place that answers "may this principal do this here". Site admins and members of the owners team may all; an organization's token
/// may all but run and write states; a run's token reads its own workspace with its state, and the state outputs and state of workspaces that
/// share with it (global_remote_state in the same organization, or a row in remote_state_consumers).
Task<OrganizationAccess> access_to_organization(postgres::Tx& tx, const api::Principal& principal, const std::string& name);
Task<WorkspaceAccess> access_to_workspace(postgres::Tx& tx, const api::Principal& principal, const std::string& workspace_id);

/// The same, but throws Error{not_found} when there is no such organization or it may not be read.
Task<OrganizationAccess> require_organization(postgres::Tx& tx, const api::Principal& principal, const std::string& name);

}  // namespace terrane::organization
