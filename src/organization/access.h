#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "api/api.h"
#include "postgres/database.h"

namespace terrane::organization {

/// What a principal may do with one organization. Not even `read`: answer not_found. A right that another one
/// implies is there, too.
struct OrganizationAccess {
  std::string id;  ///< the organization's own id (`org-…`); API v2 shows its name as id
  std::string name;
  std::string default_project;     ///< its id
  bool read = false;               ///< the organization itself, not what belongs to it
  bool create_workspaces = false;  ///< in the default project
  bool manage = false;             ///< all that its own token may: everything in it, not itself
  bool own = false;  ///< change, rename or delete it, and its own tokens: owners and site admins
  bool manage_workspaces = false, read_workspaces = false;
  bool manage_projects = false, read_projects = false;
  bool manage_membership = false;           ///< who belongs to it and to which of its teams
  bool manage_teams = false;                ///< make, change and delete teams and their tokens
  bool manage_organization_access = false;  ///< the rights that are in this struct, of teams
  bool access_secret_teams = false;
  bool manage_policies = false, manage_policy_overrides = false;
  bool manage_vcs_settings = false, manage_run_tasks = false, manage_agent_pools = false;
  bool manage_modules = false, manage_providers = false;
  bool manage_ssh_keys = false;  ///< as manage_vcs_settings, but not by the organization's token
};

/// What a principal may do with one project. Without `read` the project does not exist for the principal.
struct ProjectAccess {
  bool read = false, update = false, destroy = false;
  bool create_workspaces = false, delete_workspaces = false;
  bool move_workspaces = false;  ///< out of it and into it
  bool read_teams = false, manage_teams = false;
  bool read_variable_sets = false, write_variable_sets = false;
};

/// What a principal may do with one workspace. Without `read` the workspace does not exist for the principal.
struct WorkspaceAccess {
  bool read = false;  ///< settings, runs, plans, logs and configurations
  bool read_variables = false, write_variables = false;
  bool read_outputs = false, read_state = false, write_state = false;
  bool queue_runs = false, apply_runs = false;
  bool lock = false, force_unlock = false;
  bool update = false, destroy = false;
  bool move = false;          ///< to another project, where the same is asked
  bool own = false;           ///< the organization is the principal's, whatever it forbids others
  bool manage_teams = false;  ///< which teams may do what here
  bool manage_run_tasks = false;
  bool read_sentinel_mocks = false;
  bool is_run = false;  ///< a run's token, which reads what its run needs and no more
};

/// The one place that answers "may this principal do this here". Site admins and members of the owners team
/// may all; other users and teams what their teams were granted by flags in the organization, per project and
/// per workspace, all added up; an organization's token may all but run, lock and write states; a run's token
/// reads its own workspace with its state, and the state of workspaces that share with it
/// (global_remote_state in the same organization, or a row in remote_state_consumers). A token for audit
/// trails may nothing.
Task<OrganizationAccess> access_to_organization(postgres::Tx& tx, const api::Principal& principal,
                                                const std::string& name);
Task<ProjectAccess> access_to_project(postgres::Tx& tx, const api::Principal& principal,
                                      const std::string& project_id);
Task<WorkspaceAccess> access_to_workspace(postgres::Tx& tx, const api::Principal& principal,
                                          const std::string& workspace_id);

/// The same for many at once, in one statement; what may not be read, or is not there, is missing.
/// Organizations by their own ids.
Task<std::map<std::string, OrganizationAccess>> access_to_organizations(
    postgres::Tx& tx, const api::Principal& principal, const std::vector<std::string>& names);
Task<std::map<std::string, ProjectAccess>> access_to_projects(postgres::Tx& tx,
                                                              const api::Principal& principal,
                                                              const std::vector<std::string>& ids);
Task<std::map<std::string, WorkspaceAccess>> access_to_workspaces(postgres::Tx& tx,
                                                                  const api::Principal& principal,
                                                                  const std::vector<std::string>& ids);

/// The same, but throws Error{not_found} when there is no such organization or it may not be read.
Task<OrganizationAccess> require_organization(postgres::Tx& tx, const api::Principal& principal,
                                              const std::string& name);

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

/// The kind of a principal as the statements name it: user, organization, team, run, audit-trails.
std::string_view kind_name(api::Principal::Kind kind);

}  // namespace terrane::organization
