#pragma once
#include <optional>
#include <string>
#include <vector>

#include "api/api.h"
#include "base/id.h"
#include "base/time.h"
#include "jsonapi/resource.h"
#include "organization/access.h"
#include "postgres/database.h"

namespace terrane::team {

/// Users of one organization who may do the same. `owners` is there from the start, may all and stays.
struct Team {
  static constexpr std::string_view id_prefix = "team";
  Id<Team> id;
  std::string organization_id;
  std::string organization;  ///< its name
  std::string name;
  std::string visibility = "secret";  ///< or `organization`: every member knows of it
  std::optional<std::string> sso_team_id;
  bool allow_member_token_management = true;
  // What its members may in the organization: see OrganizationAccess.
  bool manage_policies = false, manage_policy_overrides = false;
  bool manage_workspaces = false, read_workspaces = false;
  bool manage_projects = false, read_projects = false;
  bool manage_vcs_settings = false, manage_run_tasks = false, manage_agent_pools = false;
  bool manage_modules = false, manage_providers = false;
  bool manage_membership = false, manage_teams = false, manage_organization_access = false;
  bool access_secret_teams = false;
  std::int64_t users_count = 0;  ///< those who have accepted their invitation
  bool is_mine = false;          ///< whether the asking principal is in it, or is its token

  bool is_owners() const { return name == "owners"; }
};

/// What a principal may do with a team. Without `read` the team does not exist for the principal.
struct TeamAccess {
  bool read = false;
  bool update = false, destroy = false;
  bool update_organization_access = false;
  bool update_membership = false;
  bool manage_tokens = false;
};
TeamAccess access_to_team(const organization::OrganizationAccess& organization,
                          const api::Principal& principal, const Team& team);

/// Whether the principal sees all teams of the organization, secret ones too.
bool sees_secret_teams(const organization::OrganizationAccess& organization);

/// The fields of `teams` on the wire and in the table, and those within its `organization-access`.
const jsonapi::Resource& resource();
const jsonapi::Resource& rights_resource();

/// The resource object; who is in it comes by the relations, which the caller adds with `add_members`.
json::object encode(const Team& team, const TeamAccess& access);

/// Adds the relations `users` (those who accepted) and `organization-memberships` to encoded teams, in one
/// statement for all.
Task<> add_members(postgres::Tx& tx, std::vector<json::object>& teams);

/// The columns that a request's attributes change, its `organization-access` among them, taken over into
/// `team`. `changes_rights` becomes whether a right was given. Throws Error{unprocessable} with pointers.
json::object decode(const json::object& data, jsonapi::Flag when, Team& team, bool& changes_rights);

/// Teams as `principal` sees them. One that is missing is not there; whether it may be read is the caller's
/// question.
Task<std::optional<Team>> find(postgres::Tx& tx, const api::Principal& principal, const std::string& id);
Task<std::vector<Team>> find_many(postgres::Tx& tx, const api::Principal& principal,
                                  const std::vector<std::string>& ids);

/// A team that `principal` may read, and what else it may do. Throws Error{not_found}.
struct Visible {
  Team team;
  TeamAccess access;
  organization::OrganizationAccess organization;
};
Task<Visible> require(postgres::Tx& tx, const api::Principal& principal, const std::string& id);

/// The teams of an organization that `principal` sees, by name, and how many match. `names` empty: all;
/// `search` is a part of the name, without case.
Task<std::pair<std::vector<Team>, std::int64_t>> list(postgres::Tx& tx, const api::Principal& principal,
                                                      const organization::OrganizationAccess& organization,
                                                      const std::vector<std::string>& names,
                                                      std::string_view search, const jsonapi::Page& page);

/// Insert and update throw Error{unprocessable} with a pointer when the name is taken.
Task<> insert(postgres::Tx& tx, const Team& team, const json::object& columns);
Task<> update(postgres::Tx& tx, const std::string& id, const json::object& columns);

/// Removes the team with its tokens and with what it was granted.
Task<> remove(postgres::Tx& tx, const std::string& id);

/// Puts users, by id, into a team or out of it. Those who are, or are not, in it already stay so. Throws
/// Error{unprocessable} when `owners` would have nobody left who has accepted.
Task<> add_users(postgres::Tx& tx, const std::string& team_id, const std::vector<std::string>& users);
Task<> remove_users(postgres::Tx& tx, const Team& team, const std::vector<std::string>& users);
/// What `remove_users` and the end of a membership must keep true: lock before, require after.
Task<> lock_owners(postgres::Tx& tx, const std::string& organization_id);
Task<> require_owner(postgres::Tx& tx, const std::string& organization_id);

}  // namespace terrane::team
