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

/// That a user belongs to an organization. Who is invited by address and has never been here is `invited`
/// until the first request with a token of their own.
struct Membership {
  static constexpr std::string_view id_prefix = "ou";
  Id<Membership> id;
  std::string organization_id;
  std::string organization;  ///< its name
  std::string user_id;
  std::string email;
  std::string status;  ///< active or invited
  Time created_at;
};

/// The fields of `organization-memberships` on the wire.
const jsonapi::Resource& membership_resource();

/// `filter[status]`; nothing when it is not given. Throws Error{invalid} on a status that there is not.
std::optional<std::string> status_filter(const http::Request& request);

Task<std::vector<Membership>> find_memberships(postgres::Tx& tx, const std::vector<std::string>& ids);
Task<std::optional<Membership>> find_membership(postgres::Tx& tx, const std::string& id);

/// The resource objects of memberships of one organization, in the order of `ids`, with the relation `teams`
/// as far as `principal` sees teams.
Task<std::vector<json::object>> membership_documents(postgres::Tx& tx, const api::Principal& principal,
                                                     const organization::OrganizationAccess& organization,
                                                     const std::vector<std::string>& ids);

/// The ids of an organization's memberships by address, and how many match. `emails` empty: all; `search` is
/// a part of name or address, without case.
struct MembershipQuery {
  std::vector<std::string> emails;
  std::optional<std::string> status;
  std::string search;
};
Task<std::pair<std::vector<std::string>, std::int64_t>> list_memberships(postgres::Tx& tx,
                                                                         const std::string& organization_id,
                                                                         const MembershipQuery& query,
                                                                         const jsonapi::Page& page);
Task<std::pair<std::vector<std::string>, std::int64_t>> memberships_of_team(
    postgres::Tx& tx, const std::string& team_id, const std::optional<std::string>& status,
    const jsonapi::Page& page);
/// A user's own memberships, by the organizations' names: ids with the names.
Task<std::pair<std::vector<std::pair<std::string, std::string>>, std::int64_t>> memberships_of_user(
    postgres::Tx& tx, const std::string& user_id, const jsonapi::Page& page);

/// Makes the user of an address, unless there is one, a member with the given id. Throws Error{unprocessable}
/// with a pointer when they are one already. Returns the user's id.
Task<std::string> invite(postgres::Tx& tx, const Id<Membership>& id, const std::string& organization_id,
                         const std::string& email);

/// Ends a membership, in the organization's teams, too. Throws Error{unprocessable} when `owners` would have
/// nobody left.
Task<> remove_membership(postgres::Tx& tx, const Membership& membership);

}  // namespace terrane::team
