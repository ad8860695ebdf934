#pragma once
#include <optional>
#include <string>
#include <vector>

#include "api/api.h"
#include "base/time.h"
#include "jsonapi/resource.h"
#include "organization/access.h"
#include "postgres/database.h"

namespace terrane::variable {

constexpr std::size_t most_sets = 1000;     ///< of one organization
constexpr std::size_t most_applied = 1000;  ///< workspaces, or projects, that one set is applied to by name

/// Variables that several workspaces share: all of an organization (`global`), those of some projects, or
/// some by name. A set of a project reaches only that project's workspaces.
struct VariableSet {
  static constexpr std::string_view id_prefix = "varset";
  std::string id;
  std::string organization;               ///< its name, which API v2 shows as its id
  std::optional<std::string> project_id;  ///< of the project that owns it; else the organization does
  std::string name;
  std::string description;
  bool global = false;
  bool priority = false;  ///< its values win over all others, also those of the command line
  Time updated_at;
  std::vector<std::string> workspaces, projects, variables;  ///< ids
};

/// The fields of `varsets` on the wire and in the table.
const jsonapi::Resource& set_resource();
/// The resource object as somebody who may change it, or only read it, sees it.
enum class Want { read, write };
json::object encode(const VariableSet& set, Want may);

/// The one place that answers whether the principal may read or change a set.
Task<bool> may(postgres::Tx& tx, const api::Principal& principal, const VariableSet& set, Want want);
/// Whether somebody with this access to an organization may list its sets.
bool may_list(const organization::OrganizationAccess& access);

/// Which sets a list shows.
enum class Sets {
  of_organization,  ///< all of it; by its own id
  of_workspace,     ///< those that apply to it
  of_project,       ///< those that apply to all of its workspaces
};
/// Sets by name whose name contains `search`, without case, and how many there are.
Task<std::pair<std::vector<VariableSet>, std::int64_t>> list_sets(postgres::Tx& tx, Sets which,
                                                                  const std::string& of_id,
                                                                  std::string_view search,
                                                                  const jsonapi::Page& page);
Task<std::optional<VariableSet>> find_set(postgres::Tx& tx, const std::string& id);
/// The set, which the principal may read or change. Throws Error{not_found}.
Task<VariableSet> require_set(postgres::Tx& tx, const api::Principal& principal, const std::string& id,
                              Want want);

/// Inserts the set with what it is applied to. Throws Error{unprocessable} with a pointer when the name is
/// taken, the organization has too many, or a list names something that the set cannot reach.
Task<> insert(postgres::Tx& tx, const VariableSet& set, const std::string& organization_id);
/// Writes the set and what it is applied to; a global one is applied to nothing by name. Errors as `insert`.
Task<> update(postgres::Tx& tx, const VariableSet& set);
Task<> remove_set(postgres::Tx& tx, const std::string& id);

/// What a set is applied to by name.
enum class Target { workspaces, projects };
/// Applies the set to more. Throws Error{unprocessable} with a pointer when it is global, cannot reach one of
/// them, or would be applied to too many.
Task<> apply(postgres::Tx& tx, const VariableSet& set, Target target, const std::vector<std::string>& ids);
Task<> unapply(postgres::Tx& tx, const VariableSet& set, Target target, const std::vector<std::string>& ids);

}  // namespace terrane::variable
