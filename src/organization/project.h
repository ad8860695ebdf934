#pragma once
#include <optional>
#include <string>
#include <vector>

#include "api/parameters.h"
#include "base/id.h"
#include "base/time.h"
#include "jsonapi/resource.h"
#include "organization/access.h"
#include "organization/execution.h"
#include "postgres/database.h"

namespace terrane::organization {

/// A group of workspaces within an organization; each organization has one default project.
struct Project {
  static constexpr std::string_view id_prefix = "prj";
  Id<Project> id;
  std::string name;
  std::optional<std::string> description;
  std::optional<std::string> auto_destroy_activity_duration;
  Time created_at;
  std::string organization_id;
  std::string organization;  ///< its name, which API v2 shows as its id
  bool overwrites_execution_mode = false;
  std::string default_execution_mode = "remote";     ///< in force: its own or the organization's
  std::optional<std::string> default_agent_pool_id;  ///< the same
  bool is_default = false;
  std::int64_t workspace_count = 0;
  std::int64_t team_count = 0;  ///< teams that were granted something here
};

/// The fields of `projects` on the wire and in the table.
const jsonapi::Resource& project_resource();

/// The resource object as a principal with this access to it sees it.
json::object encode(const Project& project, const ProjectAccess& access);

/// The project; nothing when there is none.
Task<std::optional<Project>> find_project(postgres::Tx& tx, const std::string& id);
/// The projects with these ids.
Task<std::vector<Project>> find_projects(postgres::Tx& tx, const std::vector<std::string>& ids);

/// Which projects a list shows, and in which order.
struct ProjectFilter {
  std::vector<std::string> names;    ///< empty: all
  std::string search;                ///< a part of the name, without case
  std::vector<api::TagFilter> tags;  ///< all of which a project must have
  bool descending = false;           ///< by name
};
/// An organization's projects that the scope allows, and how many match.
Task<std::pair<std::vector<Project>, std::int64_t>> list_projects(postgres::Tx& tx,
                                                                  const std::string& organization_id,
                                                                  const ReadableScope& scope,
                                                                  const ProjectFilter& filter,
                                                                  const jsonapi::Page& page);

/// Inserts the project. Throws Error{unprocessable} with a pointer when the name is taken.
Task<> insert(postgres::Tx& tx, const Project& project, const std::string& organization_id);

/// Writes the given columns. Throws Error{unprocessable} with a pointer when the name is taken.
Task<> update_project(postgres::Tx& tx, const std::string& id, const json::object& columns);

/// Takes execution mode and agent pool of a request's `data` into the project and into its columns. Throws as
/// settle_execution.
Task<> settle_project_execution(postgres::Tx& tx, const json::object& data, Project& project,
                                json::object& columns);

/// Removes the project. Throws Error{conflict} while it has workspaces or when it is the default one,
/// Error{not_found} when it is gone.
Task<> remove_project(postgres::Tx& tx, const std::string& id);

}  // namespace terrane::organization
