#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "api/api.h"
#include "postgres/database.h"

namespace terrane::organization {

/// What a principal may do with one organization. Not even `read`: answer not_found.
struct OrganizationAccess {
  std::string id;  ///< the organization's own id (`org-…`); API v2 shows its name as id
  std::string name;
  std::string default_project;  ///< its id
  bool read = false;
  bool create_workspaces = false;
  bool manage = false;  ///< change or delete it, its members and settings
};

/// What a principal may do with one project. Without `read` the project does not exist for the principal.
struct ProjectAccess {
  bool read = false, update = false, destroy = false;
  bool create_workspaces = false;
  bool move_workspaces = false;  ///< out of it and into it
};

/// What a principal may do with one workspace. Without `read` the workspace does not exist for the principal.
struct WorkspaceAccess {
  bool read = false;
  bool read_variables = false, write_variables = false;
  bool read_outputs = false, read_state = false, write_state = false;
  bool queue_runs = false, apply_runs = false;
  bool lock = false, force_unlock = false;
  bool update = false, destroy = false;
  bool move = false;  ///< to another project, where the same is asked
  bool own = false;   ///< the organization is the principal's, whatever it forbids others
};

/// The one place that answers "may this principal do this here". Site admins and members of the owners team
/// may all; an organization's token may all but run and write states; a run's token reads its own workspace
/// with its state, and the state outputs and state of workspaces that share with it (global_remote_state in
/// the same organization, or a row in remote_state_consumers).
Task<OrganizationAccess> access_to_organization(postgres::Tx& tx, const api::Principal& principal,
                                                const std::string& name);
Task<WorkspaceAccess> access_to_workspace(postgres::Tx& tx, const api::Principal& principal,
                                          const std::string& workspace_id);

Task<ProjectAccess> access_to_project(postgres::Tx& tx, const api::Principal& principal,
                                      const std::string& project_id);

/// The same for many at once, in one statement; what may not be read, or is not there, is missing.
Task<std::map<std::string, ProjectAccess>> access_to_projects(postgres::Tx& tx,
                                                              const api::Principal& principal,
                                                              const std::vector<std::string>& ids);
Task<std::map<std::string, WorkspaceAccess>> access_to_workspaces(postgres::Tx& tx,
                                                                  const api::Principal& principal,
                                                                  const std::vector<std::string>& ids);

/// What a principal may read in one organization, for the WHERE of lists, so that rows and totals agree with
/// `access_to_…`: a workspace w when `all_workspaces OR w.project_id = ANY (projects) OR w.id = ANY
/// (workspaces)`, a project p when `all_projects OR p.id = ANY (projects)`.
struct ReadableScope {
  bool all_workspaces = false;
  bool all_projects = false;
  std::vector<std::string> projects;    ///< ids of projects that the principal was granted
  std::vector<std::string> workspaces;  ///< ids of workspaces that it was granted besides
};
Task<ReadableScope> readable_scope(postgres::Tx& tx, const api::Principal& principal,
                                   const std::string& organization_id);

/// The same, but throws Error{not_found} when there is no such organization or it may not be read.
Task<OrganizationAccess> require_organization(postgres::Tx& tx, const api::Principal& principal,
                                              const std::string& name);

}  // namespace terrane::organization
