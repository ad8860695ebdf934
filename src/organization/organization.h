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
  std::optional<std::string> owners_team_saml_role_id;
  bool send_passing_statuses_for_untriggered_speculative_plans = false;
  bool aggregated_commit_status_enabled = true;
  bool speculative_plan_management_enabled = true;
  bool user_tokens_enabled = true;  ///< whether tokens of users open it, besides those of teams
  Time created_at;
  std::string default_project_id;
  std::optional<std::string> default_agent_pool_id;

  // What follows from its subscription and its retention policy, read only.
  std::vector<std::string> entitlements;  ///< names of what it may use
  std::string plan;                       ///< the feature set's identifier
  bool plan_is_trial = false;
  std::optional<Time> plan_ends_at;
  std::int64_t module_test_limit = 0;
  std::optional<std::string> retention_policy_id;
  bool retention_deletes = false;  ///< the policy's kind: delete older ones, or nothing ever

  bool is_entitled_to(std::string_view what) const;
};

/// The fields of `organizations` on the wire and in the table.
const jsonapi::Resource& resource();

/// The resource object as a principal with this access sees it.
json::object encode(const Organization& organization, const OrganizationAccess& access);

/// The organization that the path names (`:organization`), which the principal must manage. Throws
/// Error{not_found}.
Task<OrganizationAccess> require_managed(postgres::Tx& tx, const http::Request& request);

/// Makes default execution mode and default agent pool agree after `data` (a request's) was decoded into
/// `organization`, and adds the pool's column to `columns` when it changes. Throws Error{unprocessable} with
/// a pointer when they contradict each other or the organization has no such pool.
Task<> settle_default_agent_pool(postgres::Tx& tx, const json::object& data, Organization& organization,
                                 json::object& columns);

/// The organization of an access; nothing when it went meanwhile.
Task<std::optional<Organization>> find(postgres::Tx& tx, const Id<Organization>& id);

/// The organizations of these names.
Task<std::vector<Organization>> find_by_names(postgres::Tx& tx, const std::vector<std::string>& names);

/// What a list of organizations looks for: parts of texts, without case; an empty one matches all.
struct Search {
  std::string_view name_or_email, name, email;
};
/// The organizations that a principal may read, and how many there are in all.
Task<std::pair<std::vector<Organization>, std::int64_t>> list(postgres::Tx& tx,
                                                              const api::Principal& principal,
                                                              const Search& search,
                                                              const jsonapi::Page& page);

/// Inserts the organization with its team `owners`, in which `owner_id` (a user) is, and its default project.
/// Throws Error{unprocessable} with a pointer when the name is taken.
Task<> insert(postgres::Tx& tx, const Organization& organization, const std::string& owner_id);

/// Writes the given columns. Throws Error{unprocessable} with a pointer when the name is taken.
Task<> update(postgres::Tx& tx, const Id<Organization>& id, const json::object& columns);

/// Removes the organization with all that belongs to it; the blobs of its workspaces are marked deleted and
/// its tokens end. Throws Error{conflict} that names the run while a phase is executing.
Task<> remove(postgres::Tx& tx, const Id<Organization>& id);

}  // namespace terrane::organization
