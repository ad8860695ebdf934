#include "team/team_api.h"

#include "base/text.h"
#include "postgres/known_commit.h"
#include "team/membership.h"
#include "team/team_sql.h"

namespace terrane::team {
namespace {

constexpr std::size_t body_limit = 256 * 1024;
constexpr std::size_t most_people = 1000;

/// Teams that others name, as far as the principal sees them.
Task<std::vector<json::object>> load_teams(postgres::Tx& tx, const api::Principal& principal,
                                           const std::vector<std::string>& ids) {
  const std::vector<Team> teams = co_await find_many(tx, principal, ids);
  std::vector<std::string> names;
  for (const Team& team : teams) names.push_back(team.organization);
  const auto organizations = co_await organization::access_to_organizations(tx, principal, names);
  std::vector<json::object> out;
  for (const Team& team : teams) {
    auto organization = organizations.find(team.organization_id);
    if (organization == organizations.end()) continue;
    const TeamAccess access = access_to_team(organization->second, principal, team);
    if (access.read) out.push_back(encode(team, access));
  }
  co_await add_members(tx, out);
  co_return out;
}

/// The ids of a body `{"data": [{"type", "id"}]}`.
std::vector<std::string> people_of(const json::object& body) {
  const json::array* list = find_array(body, "data");
  if (!list) throw Error(Code::unprocessable, "The member must be a list.", "/data");
  if (list->size() > most_people)
    throw Error(Code::unprocessable, "At most " + std::to_string(most_people) + " at once.", "/data");
  std::vector<std::string> ids;
  for (std::size_t i = 0; i < list->size(); ++i) {
    const json::object* item = (*list)[i].if_object();
    std::optional<std::string> id = item ? find_string(*item, "id") : std::nullopt;
    if (!id)
      throw Error(Code::unprocessable, "Each item must have an id.", "/data/" + std::to_string(i) + "/id");
    ids.push_back(*id);
  }
  return ids;
}

}  // namespace

void TeamApi::add_routes(http::Router& router) {
  using http::Method;
  using Form = http::Shape::Form;
  using Self = TeamApi;
  const std::string all = "/api/v2/organizations/:organization/teams";
  const std::string one = "/api/v2/teams/:id";
  const std::string users = one + "/relationships/users";
  const std::string memberships = one + "/relationships/organization-memberships";
  router.add({Method::get, all, api::bind<&Self::list>(this)}, {.query = "q filter[names] include"});
  router.add({Method::post, all, api::bind<&Self::create>(this), body_limit});
  router.add({Method::get, one, api::bind<&Self::show>(this)}, {.query = "include"});
  router.add({Method::patch, one, api::bind<&Self::update>(this), body_limit});
  router.add({Method::del, one, api::bind<&Self::remove>(this)});
  router.add({Method::post, users, api::bind<&Self::add_users>(this), body_limit},
             {Form::nothing, "", "identifiers"});
  router.add({Method::del, users, api::bind<&Self::remove_users>(this), body_limit},
             {Form::nothing, "", "identifiers"});
  router.add({Method::get, memberships, api::bind<&Self::list_memberships>(this)}, {.query = "include"});
  router.add({Method::post, memberships, api::bind<&Self::add_memberships>(this), body_limit},
             {Form::nothing, "", "identifiers"});
  router.add({Method::del, memberships, api::bind<&Self::remove_memberships>(this), body_limit},
             {Form::nothing, "", "identifiers"});
  includes_.add_resource("teams", load_teams);
  includes_.add_relation("teams", "users", {"users"});
  includes_.add_relation("teams", "organization", {"organizations"});
  includes_.add_relation("teams", "organization_memberships", {"organization-memberships"});
}

Task<http::Response> TeamApi::answer_one(postgres::Tx& tx, const http::Request& request, int status,
                                         const Visible& seen) {
  std::vector<json::object> one;
  one.push_back(encode(seen.team, seen.access));
  co_await add_members(tx, one);
  co_return co_await includes_.answer(request, tx, status, std::move(one.front()));
}

Task<http::Response> TeamApi::list(http::Request& request) {
  const api::Principal& principal = api::principal(request);
  if (principal.kind == api::Principal::Kind::run) throw Error(Code::not_found, "");
  const jsonapi::Page page = api::page(request);
  const std::vector<std::string> names = api::list_parameter(request, "filter[names]");
  const std::string search = api::text_parameter(request, "q").value_or("");
  postgres::Tx tx = co_await database_.begin();
  auto organization =
      co_await organization::require_organization(tx, principal, request.parameter("organization"));
  auto [teams, total] = co_await team::list(tx, principal, organization, names, search, page);
  std::vector<json::object> shown;
  for (const Team& team : teams) shown.push_back(encode(team, access_to_team(organization, principal, team)));
  co_await add_members(tx, shown);
  json::array data;
  for (json::object& team : shown) data.push_back(std::move(team));
  co_return co_await includes_.answer_list(request, tx, "teams", std::move(data), page, total);
}

Task<http::Response> TeamApi::create(http::Request& request) {
  json::object data = co_await api::read_data(request, resource().type, body_limit);
  const api::Principal& principal = api::principal(request);
  Team given;
  given.id = Id<Team>::make();
  bool gives_rights = false;
  json::object columns = decode(data, jsonapi::create, given, gives_rights);
  if (given.name.empty()) throw Error(Code::unprocessable, "Name can't be blank", "/data/attributes/name");

  std::function<Task<Visible>(postgres::Tx&)> create = [&](postgres::Tx& tx) -> Task<Visible> {
    auto organization =
        co_await organization::require_organization(tx, principal, request.parameter("organization"));
    if (!organization.manage_teams || (gives_rights && !organization.manage_organization_access))
      throw Error(Code::not_found, "");
    // Who may not see secret teams makes none; without a word they would be.
    if (given.visibility == "secret" && !sees_secret_teams(organization)) {
      throw Error(Code::unprocessable, "Only who has access to secret teams can make one",
                  "/data/attributes/visibility");
    }
    given.organization_id = organization.id;
    co_await insert(tx, given, columns);
    co_return co_await require(tx, principal, given.id.text());
  };
  std::function<Task<std::optional<Visible>>(postgres::Tx&)> lookup =
      [&](postgres::Tx& tx) -> Task<std::optional<Visible>> {
    if (!co_await find(tx, principal, given.id.text())) co_return std::nullopt;
    co_return co_await require(tx, principal, given.id.text());
  };
  Visible made = co_await postgres::transact_create<Visible>(database_, create, lookup);
  postgres::Tx tx = co_await database_.begin();
  co_return co_await answer_one(tx, request, 201, made);
}

Task<http::Response> TeamApi::show(http::Request& request) {
  postgres::Tx tx = co_await database_.begin();
  Visible seen = co_await require(tx, api::principal(request), request.parameter("id"));
  co_return co_await answer_one(tx, request, 200, seen);
}

Task<http::Response> TeamApi::update(http::Request& request) {
  json::object data = co_await api::read_data(request, resource().type, body_limit);
  const api::Principal& principal = api::principal(request);
  bool renamed = false;
  std::function<Task<Visible>(postgres::Tx&)> change = [&](postgres::Tx& tx) -> Task<Visible> {
    Visible seen = co_await require(tx, principal, request.parameter("id"));
    const Team before = seen.team;
    bool changes_rights = false;
    json::object columns = decode(data, jsonapi::update, seen.team, changes_rights);
    if (!seen.access.update ||
        (changes_rights && !seen.access.update_organization_access && !before.is_owners()))
      throw Error(Code::not_found, "");
    if (before.is_owners() && (changes_rights || seen.team.name != before.name)) {
      throw Error(Code::unprocessable, "The owners team keeps its name and may do everything", "/data");
    }
    if (seen.team.visibility == "secret" && before.visibility != "secret" &&
        !sees_secret_teams(seen.organization)) {
      throw Error(Code::unprocessable, "Only who has access to secret teams can make one",
                  "/data/attributes/visibility");
    }
    renamed = seen.team.name != before.name;
    co_await team::update(tx, before.id.text(), columns);
    co_return co_await require(tx, principal, before.id.text());
  };
  Visible changed = co_await postgres::transact_change<Visible>(database_, change);
  if (renamed) tokens_.forget("");
  postgres::Tx tx = co_await database_.begin();
  co_return co_await answer_one(tx, request, 200, changed);
}

Task<http::Response> TeamApi::remove(http::Request& request) {
  std::function<Task<>(postgres::Tx&)> remove = [&](postgres::Tx& tx) -> Task<> {
    Visible seen = co_await require(tx, api::principal(request), request.parameter("id"));
    if (!seen.access.destroy) throw Error(Code::not_found, "");
    co_await team::remove(tx, seen.team.id.text());
  };
  co_await postgres::transact_remove(database_, remove);
  tokens_.forget("");
  co_return api::no_content();
}

Task<http::Response> TeamApi::list_memberships(http::Request& request) {
  const jsonapi::Page page = api::page(request);
  const std::optional<std::string> status = status_filter(request);
  postgres::Tx tx = co_await database_.begin();
  Visible seen = co_await require(tx, api::principal(request), request.parameter("id"));
  if (!seen.organization.manage_membership && !seen.team.is_mine) throw Error(Code::not_found, "");
  auto [ids, total] = co_await memberships_of_team(tx, seen.team.id.text(), status, page);
  json::array data;
  for (json::object& membership :
       co_await membership_documents(tx, api::principal(request), seen.organization, ids))
    data.push_back(std::move(membership));
  co_return co_await includes_.answer_list(request, tx, "organization-memberships", std::move(data), page,
                                           total);
}

Task<http::Response> TeamApi::change_members(http::Request& request, By by, Change change) {
  std::vector<std::string> names = people_of(co_await api::read_object(request, body_limit));
  if (by == By::username) {
    for (std::string& name : names) name = lower(name);
  }
  std::function<Task<bool>(postgres::Tx&)> apply = [&](postgres::Tx& tx) -> Task<bool> {
    Visible seen = co_await require(tx, api::principal(request), request.parameter("id"));
    if (!seen.access.update_membership) throw Error(Code::not_found, "");
    postgres::Result rows =
        co_await tx.run(by == By::username ? sql::team_users_by_name : sql::team_users_by_membership,
                        postgres::Params::of(seen.team.organization_id, names));
    std::map<std::string, std::string> user_of;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (by == By::username)
        user_of.emplace(rows[i].string("username"), rows[i].string("id"));
      else
        user_of.emplace(rows[i].string("id"), rows[i].string("user_id"));
    }
    std::vector<std::string> users;
    for (std::size_t i = 0; i < names.size(); ++i) {
      auto found = user_of.find(names[i]);
      if (found != user_of.end()) {
        users.push_back(found->second);
      } else if (change == Change::add) {
        throw Error(Code::unprocessable, "'" + names[i] + "' is not a member of this organization",
                    "/data/" + std::to_string(i) + "/id");
      }
    }
    if (change == Change::add)
      co_await team::add_users(tx, seen.team.id.text(), users);
    else
      co_await team::remove_users(tx, seen.team, users);
    co_return true;
  };
  co_await postgres::transact_change<bool>(database_, apply);
  co_return api::no_content();
}

Task<http::Response> TeamApi::add_users(http::Request& request) {
  return change_members(request, By::username, Change::add);
}
Task<http::Response> TeamApi::remove_users(http::Request& request) {
  return change_members(request, By::username, Change::remove);
}
Task<http::Response> TeamApi::add_memberships(http::Request& request) {
  return change_members(request, By::membership, Change::add);
}
Task<http::Response> TeamApi::remove_memberships(http::Request& request) {
  return change_members(request, By::membership, Change::remove);
}

}  // namespace terrane::team
