#include "team/grant_api.h"

#include "postgres/known_commit.h"
#include "team/grant_sql.h"

namespace terrane::team {
namespace {

using Rights = GrantPlace::Rights;

Task<Rights> rights_in_workspace(postgres::Tx& tx, const api::Principal& principal, const std::string& id) {
  const bool manages = (co_await organization::access_to_workspace(tx, principal, id)).manage_teams;
  co_return manages ? Rights::manage : Rights::none;
}

Task<Rights> rights_in_project(postgres::Tx& tx, const api::Principal& principal, const std::string& id) {
  organization::ProjectAccess access = co_await organization::access_to_project(tx, principal, id);
  co_return access.manage_teams ? Rights::manage : access.read_teams ? Rights::read : Rights::none;
}

}  // namespace

const GrantPlace& workspace_grant_place() {
  static const GrantPlace place{workspace_grants(),
                                "tws",
                                "filter[workspace][id]",
                                sql::grant_workspace_find,
                                sql::grant_workspace_list,
                                sql::grant_workspace_count,
                                sql::grant_workspace_insert,
                                sql::grant_workspace_update,
                                sql::grant_workspace_delete,
                                sql::grant_workspace_place,
                                "team_workspaces_team_id_workspace_id_key",
                                rights_in_workspace};
  return place;
}

const GrantPlace& project_grant_place() {
  static const GrantPlace place{project_grants(),
                                "tprj",
                                "filter[project][id]",
                                sql::grant_project_find,
                                sql::grant_project_list,
                                sql::grant_project_count,
                                sql::grant_project_insert,
                                sql::grant_project_update,
                                sql::grant_project_delete,
                                sql::grant_project_place,
                                "team_projects_team_id_project_id_key",
                                rights_in_project};
  return place;
}

void GrantApi::add_routes(http::Router& router) {
  using http::Method;
  using Self = GrantApi;
  const std::string all = "/api/v2/" + std::string(of_.kind.type);
  router.add({Method::get, all, api::bind<&Self::list>(this)}, {.query = of_.filter});
  router.add({Method::post, all, api::bind<&Self::create>(this), 64 * 1024});
  router.add({Method::get, all + "/:id", api::bind<&Self::show>(this)});
  router.add({Method::patch, all + "/:id", api::bind<&Self::update>(this), 64 * 1024});
  router.add({Method::del, all + "/:id", api::bind<&Self::remove>(this)});
}

/// A grant that the caller may see: one of a place where they read grants, to a team that they see.
Task<GrantApi::Seen> GrantApi::require(postgres::Tx& tx, const http::Request& request, std::string id) {
  const api::Principal& principal = api::principal(request);
  postgres::Result rows = co_await tx.run(of_.find, postgres::Params::of(id));
  if (rows.empty()) throw Error(Code::not_found, "");
  Seen seen{rows[0].json("row").as_object(), id, false};
  const std::string place(seen.row.at("place_id").as_string());
  const Rights rights = co_await of_.rights(tx, principal, place);
  if (rights == Rights::none) throw Error(Code::not_found, "");
  const std::string team(seen.row.at("team_id").as_string());
  co_await team::require(tx, principal, team);
  seen.manage = rights == Rights::manage;
  co_return seen;
}

Task<http::Response> GrantApi::list(http::Request& request) {
  const jsonapi::Page page = api::page(request);
  const api::Principal& principal = api::principal(request);
  const std::string place(request.query.find(of_.filter).value_or(""));
  if (place.empty()) throw Error(Code::invalid, "The parameter " + std::string(of_.filter) + " is required.");
  postgres::Tx tx = co_await database_.begin();
  if (co_await of_.rights(tx, principal, place) == Rights::none) throw Error(Code::not_found, "");
  postgres::Result where = co_await tx.run(of_.place, postgres::Params::of(place));
  if (where.empty()) throw Error(Code::not_found, "");
  auto organization =
      co_await organization::require_organization(tx, principal, where[0].string("organization"));
  postgres::Params params = postgres::Params::of(place, sees_secret_teams(organization),
                                                 organization::kind_name(principal.kind), principal.id);
  postgres::Result total = co_await tx.run(of_.count, params);
  params.add(page.size);
  params.add(page.offset());
  postgres::Result rows = co_await tx.run(of_.list, std::move(params));
  json::array data;
  for (std::size_t i = 0; i < rows.size(); ++i)
    data.push_back(encode(of_.kind, rows[i].json("row").as_object()));
  co_return api::answer(
      200, jsonapi::list_document(std::move(data), page, total[0].integer("total"), request.path));
}

Task<http::Response> GrantApi::create(http::Request& request) {
  json::object data = co_await api::read_data(request, of_.kind.type, 64 * 1024);
  const api::Principal& principal = api::principal(request);
  const std::string at = "/data/relationships/";
  std::optional<std::string> team_id = jsonapi::related_id(data, "team");
  std::optional<std::string> place = jsonapi::related_id(data, of_.kind.place);
  std::vector<Problem> problems;
  if (!team_id) problems.push_back({"Team can't be blank", at + "team"});
  if (!place)
    problems.push_back({std::string(of_.kind.place) + " can't be blank", at + std::string(of_.kind.place)});
  if (!problems.empty()) throw Error(Code::unprocessable, std::move(problems));
  const json::object columns = decide(of_.kind, data, nullptr);
  const std::string id = std::string(of_.id_prefix) + "-" + random_id_suffix();

  std::function<Task<Seen>(postgres::Tx&)> create = [&](postgres::Tx& tx) -> Task<Seen> {
    if (co_await of_.rights(tx, principal, *place) != Rights::manage) throw Error(Code::not_found, "");
    postgres::Result where = co_await tx.run(of_.place, postgres::Params::of(*place));
    Visible team = co_await team::require(tx, principal, *team_id);
    if (where.empty() || where[0].string("organization") != team.team.organization)
      throw Error(Code::not_found, "There is no such team in this organization.", at + "team");
    try {
      co_await tx.run(of_.insert, postgres::Params::of(id, *team_id, *place, columns));
    } catch (const Error& error) {
      if (postgres::violated_constraint(error) != of_.unique) throw;
      throw Error(Code::unprocessable, "Team has already been taken", at + "team");
    }
    co_return co_await require(tx, request, id);
  };
  std::function<Task<std::optional<Seen>>(postgres::Tx&)> lookup =
      [&](postgres::Tx& tx) -> Task<std::optional<Seen>> {
    postgres::Result rows = co_await tx.run(of_.find, postgres::Params::of(id));
    if (rows.empty()) co_return std::nullopt;
    co_return co_await require(tx, request, id);
  };
  Seen made = co_await postgres::transact_create<Seen>(database_, create, lookup);
  co_return api::answer(201, jsonapi::document(encode(of_.kind, made.row)));
}

Task<http::Response> GrantApi::show(http::Request& request) {
  postgres::Tx tx = co_await database_.begin();
  Seen seen = co_await require(tx, request, request.parameter("id"));
  co_return api::answer(200, jsonapi::document(encode(of_.kind, seen.row)));
}

Task<http::Response> GrantApi::update(http::Request& request) {
  json::object data = co_await api::read_data(request, of_.kind.type, 64 * 1024);
  std::function<Task<Seen>(postgres::Tx&)> change = [&](postgres::Tx& tx) -> Task<Seen> {
    Seen seen = co_await require(tx, request, request.parameter("id"));
    if (!seen.manage) throw Error(Code::not_found, "");
    const json::object columns = decide(of_.kind, data, &seen.row);
    co_await tx.run(of_.update, postgres::Params::of(seen.id, columns));
    for (const auto& [column, value] : columns) seen.row[column] = value;
    co_return seen;
  };
  Seen changed = co_await postgres::transact_change<Seen>(database_, change);
  co_return api::answer(200, jsonapi::document(encode(of_.kind, changed.row)));
}

Task<http::Response> GrantApi::remove(http::Request& request) {
  std::function<Task<>(postgres::Tx&)> remove = [&](postgres::Tx& tx) -> Task<> {
    Seen seen = co_await require(tx, request, request.parameter("id"));
    if (!seen.manage) throw Error(Code::not_found, "");
    co_await tx.run(of_.remove, postgres::Params::of(seen.id));
  };
  co_await postgres::transact_remove(database_, remove);
  co_return api::no_content();
}

}  // namespace terrane::team
