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

/// What owns projects, workspaces and teams. API v2 shows its name as id.
struct Organization {
  static constexpr std::string_view id_prefix = "org";
  Id<Organization> id;
  std::string name;
  std::string email;
  std::string collaborator_auth_policy = "password";
  std::string default_execution_mode = "remote";
  bool cost_estimation_enabled = false;
  bool allow_force_delete_workspaces = false;
  bool assessments_enforced = false;
  std::optional<std::int64_t> session_timeout;   ///< minutes
  std::optional<std::int64_t> session_remember;  ///< minutes
  Time created_at;
  std::string default_project_id;
};

/// The fields of `organizations` on the wire and in the table.
const jsonapi::Resource& resource();

/// The resource object as a principal with this access sees it.
json::object encode(const Organization& organization, const OrganizationAccess& access);

/// What the organization can do, as a resource object `entitlement-sets`: exactly what this installation has.
json::object entitlement_set(const OrganizationAccess& access);

/// The organization of an access; nothing when it went meanwhile.
Task<std::optional<Organization>> find(postgres::Tx& tx, const Id<Organization>& id);

/// The organizations of these names.
Task<std::vector<Organization>> find_by_names(postgres::Tx& tx, const std::vector<std::string>& names);

/// The organizations that a principal may read, and how many there are in all. `search` is a part of name or
/// address, without case; empty for all.
Task<std::pair<std::vector<Organization>, std::int64_t>> list(postgres::Tx& tx,
                                                              const api::Principal& principal,
                                                              std::string_view search,
                                                              const jsonapi::Page& page);

/// Inserts the organization with its team `owners`, in which `owner_id` (a user) is, and its default project.
/// Throws Error{unprocessable} with a pointer when the name is taken.
Task<> insert(postgres::Tx& tx, const Organization& organization, const std::string& owner_id);

/// Writes the given columns. Throws Error{unprocessable} with a pointer when the name is taken.
Task<> update(postgres::Tx& tx, const Id<Organization>& id, const json::object& columns);

/// Removes the organization with all that belongs to it; the blobs of its workspaces are marked deleted and
/// its tokens end. Throws Error{conflict} that names the run while an apply is executing.
Task<> remove(postgres::Tx& tx, const Id<Organization>& id);

}  // namespace terrane::organization
