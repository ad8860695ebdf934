#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/id.h"
#include "base/time.h"
#include "jsonapi/resource.h"
#include "organization/access.h"
#include "postgres/database.h"
#include "user/tokens.h"

namespace terrane::agent {

/// A group of agents of an organization, and which workspaces may use it: all, or those that are allowed
/// themselves or by their project; never those that are excluded.
struct Pool {
  static constexpr std::string_view id_prefix = "apool";
  Id<Pool> id;
  std::string organization;  ///< its name, which API v2 shows as its id
  std::string name;
  bool organization_scoped = true;
  Time created_at;
  std::vector<std::string> workspaces;  ///< ids of those that use it
  std::vector<std::string> allowed_workspaces, allowed_projects, excluded_workspaces;
};

/// The fields of `agent-pools` on the wire and in the table.
const jsonapi::Resource& resource();
json::object encode(const Pool& pool);

/// Whose pools a list shows. Empty texts ask for nothing.
struct Filter {
  std::string_view name_part;            ///< without case
  std::string_view usable_by_workspace;  ///< a workspace's name
  std::string_view usable_by_project;    ///< a project's name
  std::string_view sort;                 ///< name, created-at, or either with a `-` before it
};
Task<std::pair<std::vector<Pool>, std::int64_t>> list(postgres::Tx& tx, const std::string& organization_id,
                                                      const Filter& filter, const jsonapi::Page& page);
/// The pool; nothing when there is none.
Task<std::optional<Pool>> find(postgres::Tx& tx, const std::string& id);

/// Those of the pools that the principal manages.
Task<std::vector<Pool>> find_manageable(postgres::Tx& tx, const api::Principal& principal,
                                        const std::vector<std::string>& ids);

/// Inserts the pool with its lists. Throws Error{unprocessable} with a pointer when the name is taken or a
/// list names something outside the organization.
Task<> insert(postgres::Tx& tx, const Pool& pool, const std::string& organization_id);
/// Writes the pool and its lists. Errors as `insert`.
Task<> update(postgres::Tx& tx, const Pool& pool);
/// Removes the pool; its tokens end. Throws Error{conflict} while workspaces use it or it is the
/// organization's default, Error{not_found} when there is none.
Task<> remove(postgres::Tx& tx, const std::string& id);

/// The pool, which the principal manages; its organization must be entitled to agents. Throws
/// Error{not_found}.
Task<Pool> require(postgres::Tx& tx, const api::Principal& principal, const std::string& id);
/// The organization of the path, whose pools the principal manages. Throws as `require`.
Task<organization::OrganizationAccess> require_organization(postgres::Tx& tx, const http::Request& request);
/// Whether the principal manages the pool that a token of kind `agent` is for.
Task<bool> may_manage_token(postgres::Tx& tx, const api::Principal& principal, const user::Token& token);

}  // namespace terrane::agent
