#include "team/membership_api.h"

#include "base/text.h"
#include "postgres/known_commit.h"
#include "team/membership_sql.h"
#include "team/team.h"
#include "user/user.h"

namespace terrane::team {
namespace {

using Kind = api::Principal::Kind;
constexpr std::size_t most_teams = 100;

/// A membership that the caller may see: their own, or any when they manage memberships.
struct Seen {
  Membership membership;
  organization::OrganizationAccess organization;
  bool own = false;
};

Task<Seen> require(postgres::Tx& tx, const http::Request& request) {
  const api::Principal& principal = api::principal(request);
  std::optional<Membership> found = co_await find_membership(tx, request.parameter("id"));
  if (!found) throw Error(Code::not_found, "");
  Seen seen{*std::move(found), {}, false};
  seen.organization =
      co_await organization::require_organization(tx, principal, seen.membership.organization);
  seen.own = principal.kind == Kind::user && principal.id == seen.membership.user_id;
  if (!seen.own && !seen.organization.manage_membership) throw Error(Code::not_found, "");
  co_return seen;
}

Task<json::object> document(postgres::Tx& tx, const api::Principal& principal, const Seen& seen) {
  const std::vector<std::string> ids{seen.membership.id.text()};
  std::vector<json::object> shown = co_await membership_documents(tx, principal, seen.organization, ids);
  if (shown.empty()) throw Error(Code::not_found, "");
  co_return std::move(shown.front());
}

/// Memberships that others name: one's own, and those that the principal manages.
Task<std::vector<json::object>> load_memberships(postgres::Tx& tx, const api::Principal& principal,
                                                 const std::vector<std::string>& ids) {
  std::map<std::string, std::vector<std::string>> of_organization;
  for (const Membership& found : co_await find_memberships(tx, ids)) {
    auto& readable = of_organization[found.organization];
    const bool own = principal.kind == Kind::user && principal.id == found.user_id;
    if (!own) {
      auto organization = co_await organization::access_to_organization(tx, principal, found.organization);
      if (!organization.manage_membership) continue;
    }
    readable.push_back(found.id.text());
  }
  std::vector<json::object> out;
  for (const auto& [name, readable] : of_organization) {
    auto organization = co_await organization::access_to_organization(tx, principal, name);
    for (json::object& shown : co_await membership_documents(tx, principal, organization, readable))
      out.push_back(std::move(shown));
  }
  co_return out;
}

std::vector<std::string> emails_of(const http::Request& request) {
  std::vector<std::string> emails = api::list_parameter(request, "filter[email]");
  for (std::string& email : emails) email = lower(email);
  return emails;
}

/// The teams into which an invitation leads.
std::vector<std::string> teams_of(const json::object& data) {
  const json::object* relations = find_object(data, "relationships");
  const json::object* teams = relations ? find_object(*relations, "teams") : nullptr;
  const json::array* list = teams ? find_array(*teams, "data") : nullptr;
  std::vector<std::string> ids;
  if (!list) return ids;
  const std::string at = "/data/relationships/teams/data";
  if (list->size() > most_teams)
    throw Error(Code::unprocessable, "At most " + std::to_string(most_teams) + " teams at once.", at);
  for (const json::value& item : *list) {
    const json::object* one = item.if_object();
    std::optional<std::string> id = one ? find_string(*one, "id") : std::nullopt;
    if (!id) throw Error(Code::unprocessable, "Each team must have an id.", at);
    ids.push_back(*id);
  }
  return ids;
}

Task<> join_teams(postgres::Tx& tx, const api::Principal& principal,
                  const organization::OrganizationAccess& organization, const std::string& user_id,
                  const std::vector<std::string>& teams) {
  const std::vector<std::string> users{user_id};
  for (const std::string& id : teams) {
    std::optional<Team> team = co_await find(tx, principal, id);
    const bool near = team && team->organization_id == organization.id;
    if (!near || !access_to_team(organization, principal, *team).update_membership) {
      throw Error(Code::unprocessable, "There is no team '" + id + "' in this organization",
                  "/data/relationships/teams");
    }
    co_await add_users(tx, id, users);
  }
}

}  // namespace

void MembershipApi::add_routes(http::Router& router) {
  using http::Method;
  using Self = MembershipApi;
  const std::string all = "/api/v2/organizations/:organization/organization-memberships";
  const std::string one = "/api/v2/organization-memberships/:id";
  router.add({Method::get, all, api::bind<&Self::list>(this)},
             {.query = "q filter[status] filter[email] include"});
  router.add({Method::post, all, api::bind<&Self::create>(this), 64 * 1024});
  router.add({Method::get, "/api/v2/organization-memberships", api::bind<&Self::list_own>(this)},
             {.query = "include"});
  router.add({Method::get, one, api::bind<&Self::show>(this)}, {.query = "include"});
  router.add({Method::del, one, api::bind<&Self::remove>(this)});
  includes_.add_resource("organization-memberships", load_memberships);
  includes_.add_relation("organization-memberships", "user", {"users"});
  includes_.add_relation("organization-memberships", "teams", {"teams"});
  includes_.add_relation("organization-memberships", "organization", {"organizations"});
}

Task<http::Response> MembershipApi::list(http::Request& request) {
  const jsonapi::Page page = api::page(request);
  const MembershipQuery query{emails_of(request), status_filter(request),
                              api::text_parameter(request, "q").value_or("")};
  const api::Principal& principal = api::principal(request);
  postgres::Tx tx = co_await database_.begin();
  auto organization =
      co_await organization::require_organization(tx, principal, request.parameter("organization"));
  if (!organization.manage_membership) throw Error(Code::not_found, "");
  auto [ids, total] = co_await list_memberships(tx, organization.id, query, page);
  std::vector<json::object> shown = co_await membership_documents(tx, principal, organization, ids);
  json::array data;
  for (json::object& membership : shown) data.push_back(std::move(membership));
  co_return co_await includes_.answer_list(request, tx, "organization-memberships", std::move(data), page,
                                           total);
}

Task<http::Response> MembershipApi::list_own(http::Request& request) {
  const jsonapi::Page page = api::page(request);
  const api::Principal& principal = api::principal(request);
  if (principal.kind != Kind::user) throw Error(Code::not_found, "");
  postgres::Tx tx = co_await database_.begin();
  auto [memberships, total] = co_await memberships_of_user(tx, principal.id, page);
  json::array data;
  for (const auto& [id, name] : memberships) {
    const std::vector<std::string> ids{id};
    auto organization = co_await organization::access_to_organization(tx, principal, name);
    for (json::object& shown : co_await membership_documents(tx, principal, organization, ids))
      data.push_back(std::move(shown));
  }
  co_return co_await includes_.answer_list(request, tx, "organization-memberships", std::move(data), page,
                                           total);
}

Task<http::Response> MembershipApi::create(http::Request& request) {
  json::object data = co_await api::read_data(request, membership_resource().type, 64 * 1024);
  const api::Principal& principal = api::principal(request);
  Membership given;
  given.id = Id<Membership>::make();
  jsonapi::decode(membership_resource(), data, jsonapi::create, &given);
  if (given.email.empty()) throw Error(Code::unprocessable, "Email can't be blank", "/data/attributes/email");
  const std::vector<std::string> teams = teams_of(data);

  organization::OrganizationAccess organization;
  auto made = [&](postgres::Tx& tx) -> Task<std::optional<Seen>> {
    std::optional<Membership> found = co_await find_membership(tx, given.id.text());
    if (!found) co_return std::nullopt;
    co_return Seen{*std::move(found), organization, false};
  };
  std::function<Task<Seen>(postgres::Tx&)> create = [&](postgres::Tx& tx) -> Task<Seen> {
    organization =
        co_await organization::require_organization(tx, principal, request.parameter("organization"));
    if (!organization.manage_membership) throw Error(Code::not_found, "");
    const std::string user_id = co_await invite(tx, given.id, organization.id, given.email);
    co_await join_teams(tx, principal, organization, user_id, teams);
    std::optional<Seen> seen = co_await made(tx);
    co_return seen.value();
  };
  std::function<Task<std::optional<Seen>>(postgres::Tx&)> lookup = made;
  Seen seen = co_await postgres::transact_create<Seen>(database_, create, lookup);
  postgres::Tx tx = co_await database_.begin();
  json::object shown = co_await document(tx, principal, seen);
  // The answer to an invitation shows the user without being asked.
  json::array beside;
  std::optional<user::User> invited = co_await user::find(tx, Id<user::User>(seen.membership.user_id));
  if (invited) beside.push_back(user::encode(*invited, principal.kind == Kind::user && principal.site_admin));
  co_return api::answer(201, jsonapi::document(std::move(shown), std::move(beside)));
}

Task<http::Response> MembershipApi::show(http::Request& request) {
  postgres::Tx tx = co_await database_.begin();
  Seen seen = co_await require(tx, request);
  json::object shown = co_await document(tx, api::principal(request), seen);
  co_return co_await includes_.answer(request, tx, 200, std::move(shown));
}

Task<http::Response> MembershipApi::remove(http::Request& request) {
  const api::Principal& principal = api::principal(request);
  std::function<Task<>(postgres::Tx&)> remove = [&](postgres::Tx& tx) -> Task<> {
    Seen seen = co_await require(tx, request);
    if (!seen.own && !seen.organization.manage) {
      // Who manages memberships puts nobody out of a team that they do not see, and no owner out at all.
      postgres::Result unseen =
          co_await tx.run(sql::membership_untouchable_teams,
                          postgres::Params::of(seen.membership.organization_id, seen.membership.user_id,
                                               sees_secret_teams(seen.organization),
                                               organization::kind_name(principal.kind), principal.id));
      if (unseen[0].boolean("any_team")) throw Error(Code::not_found, "");
    }
    co_await remove_membership(tx, seen.membership);
  };
  co_await postgres::transact_remove(database_, remove);
  co_return api::no_content();
}

}  // namespace terrane::team
