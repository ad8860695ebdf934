#include "team/membership_api.h"

#include "base/text.h"
#include "postgres/known_commit.h"
#include "team/membership_sql.h"
#include "team/team.h"
#include "user/user.h"

namespace terrane::team {
namespace {

using Kind = api::Principal::Kind;
constexpr std::size_t most_emails = 100;
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

std::set<std::string> includes_of(const http::Request& request) {
  return api::includes(request, {"user", "teams", "organization"});
}

/// The ids in a relation of encoded memberships, each once.
std::vector<std::string> related(const std::vector<json::object>& memberships, std::string_view relation) {
  std::set<std::string> ids;
  for (const json::object& membership : memberships) {
    const json::value& data = membership.at("relationships").at(relation).at("data");
    if (const json::array* many = data.if_array()) {
      for (const json::value& item : *many) ids.emplace(item.at("id").as_string());
    } else {
      ids.emplace(data.at("id").as_string());
    }
  }
  return {ids.begin(), ids.end()};
}

Task<json::array> included(postgres::Tx& tx, const api::Principal& principal,
                           const organization::OrganizationAccess& organization,
                           const std::set<std::string>& wanted,
                           const std::vector<json::object>& memberships) {
  json::array out;
  if (wanted.contains("user")) {
    const std::vector<std::string> ids = related(memberships, "user");
    for (const user::User& found : co_await user::find_many(tx, ids))
      out.push_back(user::encode(found, false));
  }
  if (wanted.contains("teams")) {
    const std::vector<std::string> ids = related(memberships, "teams");
    std::vector<json::object> teams;
    for (const Team& team : co_await find_many(tx, principal, ids))
      teams.push_back(encode(team, access_to_team(organization, principal, team)));
    co_await add_members(tx, teams);
    for (json::object& team : teams) out.push_back(std::move(team));
  }
  co_return out;
}

Task<http::Response> answer_one(postgres::Tx& tx, const http::Request& request, int status, const Seen& seen,
                                const std::set<std::string>& wanted) {
  const api::Principal& principal = api::principal(request);
  const std::vector<std::string> ids{seen.membership.id.text()};
  std::vector<json::object> shown = co_await membership_documents(tx, principal, seen.organization, ids);
  if (shown.empty()) throw Error(Code::not_found, "");
  json::array beside = co_await included(tx, principal, seen.organization, wanted, shown);
  co_return api::answer(status, jsonapi::document(std::move(shown.front()), std::move(beside)));
}

/// The addresses of `filter[email]`, in lower case.
std::vector<std::string> emails_of(const http::Request& request) {
  std::vector<std::string> emails;
  for (std::string_view email : split(request.query.find("filter[email]").value_or(""), ',')) {
    if (!email.empty()) emails.push_back(lower(email));
  }
  if (emails.size() > most_emails)
    throw Error(Code::invalid,
                "filter[email] may hold at most " + std::to_string(most_emails) + " addresses.");
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
  router.add({Method::get, "/api/v2/organization-memberships", api::bind<&Self::list_own>(this)});
  router.add({Method::get, one, api::bind<&Self::show>(this)});
  router.add({Method::del, one, api::bind<&Self::remove>(this)});
}

Task<http::Response> MembershipApi::list(http::Request& request) {
  const std::set<std::string> wanted = includes_of(request);
  const jsonapi::Page page = api::page(request);
  const MembershipQuery query{emails_of(request), status_filter(request),
                              std::string(request.query.find("q").value_or(""))};
  const api::Principal& principal = api::principal(request);
  postgres::Tx tx = co_await database_.begin();
  auto organization =
      co_await organization::require_organization(tx, principal, request.parameter("organization"));
  if (!organization.manage_membership) throw Error(Code::not_found, "");
  auto [ids, total] = co_await list_memberships(tx, organization.id, query, page);
  std::vector<json::object> shown = co_await membership_documents(tx, principal, organization, ids);
  json::array beside = co_await included(tx, principal, organization, wanted, shown);
  json::array data;
  for (json::object& membership : shown) data.push_back(std::move(membership));
  co_return api::answer(
      200, jsonapi::list_document(std::move(data), page, total, request.path, std::move(beside)));
}

Task<http::Response> MembershipApi::list_own(http::Request& request) {
  const std::set<std::string> wanted = includes_of(request);
  const jsonapi::Page page = api::page(request);
  const api::Principal& principal = api::principal(request);
  if (principal.kind != Kind::user) throw Error(Code::not_found, "");
  postgres::Tx tx = co_await database_.begin();
  auto [memberships, total] = co_await memberships_of_user(tx, principal.id, page);
  json::array data, beside;
  for (const auto& [id, name] : memberships) {
    const std::vector<std::string> ids{id};
    auto organization = co_await organization::access_to_organization(tx, principal, name);
    std::vector<json::object> shown = co_await membership_documents(tx, principal, organization, ids);
    json::array more = co_await included(tx, principal, organization, wanted, shown);
    for (json::object& membership : shown) data.push_back(std::move(membership));
    for (json::value& item : more) {
      const bool known = std::any_of(beside.begin(), beside.end(), [&](const json::value& other) {
        return other.at("id") == item.at("id");
      });
      if (!known) beside.push_back(std::move(item));
    }
  }
  co_return api::answer(
      200, jsonapi::list_document(std::move(data), page, total, request.path, std::move(beside)));
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
  co_return co_await answer_one(tx, request, 201, seen, {"user"});
}

Task<http::Response> MembershipApi::show(http::Request& request) {
  const std::set<std::string> wanted = includes_of(request);
  postgres::Tx tx = co_await database_.begin();
  Seen seen = co_await require(tx, request);
  co_return co_await answer_one(tx, request, 200, seen, wanted);
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
