#include "team/membership.h"

#include "base/text.h"
#include "crypto/random.h"
#include "team/membership_sql.h"
#include "team/team.h"
#include "user/user.h"

namespace terrane::team {
namespace {

using jsonapi::attr;

std::optional<std::string> user_of(const void* membership) {
  return static_cast<const Membership*>(membership)->user_id;
}
void read_user(const postgres::Row& row, std::string_view column, void* membership) {
  static_cast<Membership*>(membership)->user_id = row.string(column);
}
std::optional<std::string> organization_of(const void* membership) {
  return static_cast<const Membership*>(membership)->organization;
}
void read_organization(const postgres::Row& row, std::string_view column, void* membership) {
  static_cast<Membership*>(membership)->organization = row.string(column);
}

const std::array attributes{
    attr<&Membership::status>("status", "status"),
    attr<&Membership::email>("email", "email", jsonapi::create, user::valid_email),
    attr<&Membership::created_at>("created-at", "created_at"),
    attr<&Membership::organization_id>("organization-id", "organization_id", jsonapi::hidden),
};
const std::array relations{
    jsonapi::Relation{"user", "users", user_of, "user_id", read_user},
    jsonapi::Relation{"organization", "organizations", organization_of, "organization", read_organization}};

Membership read(const postgres::Row& row) {
  Membership membership = jsonapi::from_row<Membership>(membership_resource(), row);
  membership.id = Id<Membership>(row.string("id"));
  return membership;
}

std::vector<std::string> ids_of(const postgres::Result& rows) {
  std::vector<std::string> ids;
  for (std::size_t i = 0; i < rows.size(); ++i) ids.push_back(rows[i].string("id"));
  return ids;
}

/// A user name from an address: what stands before the '@', as far as names may hold it.
std::string name_from(std::string_view email) {
  std::string name;
  for (char c : email.substr(0, std::min<std::size_t>(email.find('@'), 40))) {
    const json::value one(std::string(1, c));
    name += user::valid_username(one) ? '-' : c;
  }
  return name;
}

}  // namespace

const jsonapi::Resource& membership_resource() {
  static const jsonapi::Resource table{"organization-memberships", attributes, relations};
  return table;
}

std::optional<std::string> status_filter(const http::Request& request) {
  std::optional<std::string_view> given = request.query.find("filter[status]");
  if (!given || given->empty()) return std::nullopt;
  if (*given != "active" && *given != "invited" && *given != "inactive")
    throw Error(Code::invalid, "filter[status] must be active, invited or inactive.");
  return std::string(*given);
}

Task<std::vector<Membership>> find_memberships(postgres::Tx& tx, const std::vector<std::string>& ids) {
  postgres::Result rows = co_await tx.run(sql::membership_find, postgres::Params::of(ids));
  std::vector<Membership> found;
  for (std::size_t i = 0; i < rows.size(); ++i) found.push_back(read(rows[i]));
  co_return found;
}

Task<std::optional<Membership>> find_membership(postgres::Tx& tx, const std::string& id) {
  const std::vector<std::string> ids{id};
  std::vector<Membership> found = co_await find_memberships(tx, ids);
  if (found.empty()) co_return std::nullopt;
  co_return std::move(found.front());
}

Task<std::vector<json::object>> membership_documents(postgres::Tx& tx, const api::Principal& principal,
                                                     const organization::OrganizationAccess& organization,
                                                     const std::vector<std::string>& ids) {
  postgres::Result rows = co_await tx.run(sql::membership_find, postgres::Params::of(ids));
  postgres::Result teams = co_await tx.run(
      sql::membership_teams, postgres::Params::of(ids, sees_secret_teams(organization),
                                                  organization::kind_name(principal.kind), principal.id));
  std::map<std::string, json::array> teams_of;
  for (std::size_t i = 0; i < teams.size(); ++i) {
    teams_of[teams[i].string("membership_id")].push_back(
        json::object{{"id", teams[i].string("id")}, {"type", "teams"}});
  }
  std::map<std::string, json::object> found;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    Membership membership = read(rows[i]);
    json::object shown = jsonapi::encode(membership_resource(), &membership, membership.id.text());
    shown["relationships"].as_object()["teams"] =
        json::object{{"data", std::move(teams_of[membership.id.text()])}};
    found.emplace(membership.id.text(), std::move(shown));
  }
  std::vector<json::object> out;
  for (const std::string& id : ids) {
    auto at = found.find(id);
    if (at != found.end()) out.push_back(std::move(at->second));
  }
  co_return out;
}

Task<std::pair<std::vector<std::string>, std::int64_t>> list_memberships(postgres::Tx& tx,
                                                                         const std::string& organization_id,
                                                                         const MembershipQuery& query,
                                                                         const jsonapi::Page& page) {
  postgres::Params params = postgres::Params::of(organization_id, query.status, query.emails, query.search);
  postgres::Result total = co_await tx.run(sql::membership_count, params);
  params.add(page.size);
  params.add(page.offset());
  postgres::Result rows = co_await tx.run(sql::membership_list, std::move(params));
  co_return std::pair(ids_of(rows), total[0].integer("total"));
}

Task<std::pair<std::vector<std::string>, std::int64_t>> memberships_of_team(
    postgres::Tx& tx, const std::string& team_id, const std::optional<std::string>& status,
    const jsonapi::Page& page) {
  postgres::Result total =
      co_await tx.run(sql::membership_count_of_team, postgres::Params::of(team_id, status));
  postgres::Result rows = co_await tx.run(sql::membership_list_of_team,
                                          postgres::Params::of(team_id, status, page.size, page.offset()));
  co_return std::pair(ids_of(rows), total[0].integer("total"));
}

Task<std::pair<std::vector<std::pair<std::string, std::string>>, std::int64_t>> memberships_of_user(
    postgres::Tx& tx, const std::string& user_id, const jsonapi::Page& page) {
  postgres::Result total = co_await tx.run(sql::membership_count_of_user, postgres::Params::of(user_id));
  postgres::Result rows =
      co_await tx.run(sql::membership_list_of_user, postgres::Params::of(user_id, page.size, page.offset()));
  std::vector<std::pair<std::string, std::string>> found;
  for (std::size_t i = 0; i < rows.size(); ++i)
    found.emplace_back(rows[i].string("id"), rows[i].string("organization"));
  co_return std::pair(std::move(found), total[0].integer("total"));
}

Task<std::string> invite(postgres::Tx& tx, const Id<Membership>& id, const std::string& organization_id,
                         const std::string& email) {
  const std::string base = name_from(email);
  std::string user_id;
  std::string status = "invited";
  for (int attempt = 0; user_id.empty(); ++attempt) {
    postgres::Result known = co_await tx.run(sql::membership_user_by_email, postgres::Params::of(email));
    if (std::optional<postgres::Row> row = known.one()) {
      user_id = row->string("id");
      // Who can sign in here has nothing to accept: they are members at once.
      if (row->boolean("has_been_here")) status = "active";
      break;
    }
    if (attempt == 5) throw Error(Code::conflict, "The invitation met others at the same time. Try again.");
    // The name may be taken; another one is sure to be free.
    const std::string name = attempt == 0 ? base : base + "-" + crypto::random_text(10);
    co_await tx.run(sql::membership_insert_user, postgres::Params::of(Id<user::User>::make(), name, email));
  }
  try {
    co_await tx.run(sql::membership_insert, postgres::Params::of(id, organization_id, user_id, status));
  } catch (const Error& error) {
    if (postgres::violated_constraint(error) != "organization_memberships_organization_id_user_id_key") throw;
    throw Error(Code::unprocessable, "Email belongs to a member of this organization already",
                "/data/attributes/email");
  }
  co_return user_id;
}

Task<> remove_membership(postgres::Tx& tx, const Membership& membership) {
  co_await lock_owners(tx, membership.organization_id);
  co_await tx.run(sql::membership_leave_teams,
                  postgres::Params::of(membership.organization_id, membership.user_id));
  postgres::Result gone = co_await tx.run(sql::membership_delete, postgres::Params::of(membership.id));
  if (gone.affected() == 0) throw Error(Code::not_found, "");
  co_await require_owner(tx, membership.organization_id);
}

}  // namespace terrane::team
