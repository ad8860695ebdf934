#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/id.h"
#include "base/time.h"
#include "jsonapi/resource.h"
#include "organization/access.h"
#include "postgres/database.h"

namespace terrane::organization {

/// A group of workspaces within an organization; each organization has one default project.
struct Project {
  static constexpr std::string_view id_prefix = "prj";
  Id<Project> id;
  std::string name;
  std::optional<std::string> description;
  Time created_at;
  std::string organization;                       ///< its name, which API v2 shows as its id
  std::string default_execution_mode = "remote";  ///< the organization's
  bool is_default = false;
  std::int64_t workspace_count = 0;
};

/// The fields of `projects` on the wire and in the table.
const jsonapi::Resource& project_resource();

/// The resource object as a principal with this access to its organization sees it.
json::object encode(const Project& project, const OrganizationAccess& access);

/// The project; nothing when there is none.
Task<std::optional<Project>> find_project(postgres::Tx& tx, const std::string& id);

/// The projects with these ids.
Task<std::vector<Project>> find_projects(postgres::Tx& tx, const std::vector<std::string>& ids);

/// An organization's projects by name and how many match. `names` empty: all; `search` is a part of the name,
/// without case.
Task<std::pair<std::vector<Project>, std::int64_t>> list_projects(postgres::Tx& tx,
                                                                  const std::string& organization_id,
                                                                  const std::vector<std::string>& names,
                                                                  std::string_view search,
                                                                  const jsonapi::Page& page);

/// Inserts the project. Throws Error{unprocessable} with a pointer when the name is taken.
Task<> insert(postgres::Tx& tx, const Project& project, const std::string& organization_id);

/// Writes the given columns. Throws Error{unprocessable} with a pointer when the name is taken.
Task<> update_project(postgres::Tx& tx, const std::string& id, const json::object& columns);

/// Removes the project. Throws Error{conflict} while it has workspaces or when it is the default one,
/// Error{not_found} when it is gone.
Task<> remove_project(postgres::Tx& tx, const std::string& id);

}  // namespace terrane::organization
