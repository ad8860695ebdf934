#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/id.h"
#include "jsonapi/resource.h"
#include "organization/organization.h"
#include "postgres/database.h"

namespace terrane::organization {

/// An organization as site admins see it: what its owners do not set.
struct AdminOrganization {
  Id<Organization> id;
  std::string name;
  std::string notification_email;
  bool access_beta_tools = false;
  bool global_module_sharing = false;
  bool global_provider_sharing = false;
  bool is_disabled = false;  ///< only site admins may open it
  bool terraform_worker_sudo_enabled = false;
  std::optional<std::int64_t>
      workspace_limit;  ///< how many workspaces it may have; 0 and nothing: any number
  std::optional<std::string> plan_timeout, apply_timeout;  ///< such as `2h30m`; nothing: the installation's
  std::vector<std::string> owners;                         ///< ids of users
};

/// The fields of `organizations` below /admin on the wire and in the table.
const jsonapi::Resource& admin_resource();
json::object encode(const AdminOrganization& organization);

/// By name; nothing when there is none.
Task<std::optional<AdminOrganization>> find_admin(postgres::Tx& tx, std::string_view name);
/// All whose name or address contains `search`, without case, by name, and how many there are.
Task<std::pair<std::vector<AdminOrganization>, std::int64_t>> list_admin(postgres::Tx& tx,
                                                                         std::string_view search,
                                                                         const jsonapi::Page& page);
/// Writes the given columns.
Task<> update_admin(postgres::Tx& tx, const Id<Organization>& id, const json::object& columns);

/// The organizations that may use this one's modules, by name, and how many there are.
Task<std::pair<std::vector<AdminOrganization>, std::int64_t>> module_consumers(postgres::Tx& tx,
                                                                               const Id<Organization>& id,
                                                                               const jsonapi::Page& page);
/// Replaces them by those of these names. Throws Error{not_found} that says which one is not there.
Task<> set_module_consumers(postgres::Tx& tx, const Id<Organization>& id,
                            const std::vector<std::string>& names);

/// Throws Error{unprocessable} when the organization has as many workspaces as site admins allow. The
/// organization's row stays locked, so that two at once are counted one after the other.
Task<> require_room_for_workspace(postgres::Tx& tx, const std::string& organization_id);

}  // namespace terrane::organization
