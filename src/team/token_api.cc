#include "team/token_api.h"

#include "api/excerpt.h"
#include "base/text.h"
#include "postgres/known_commit.h"
#include "team/token_sql.h"
#include "user/token_request.h"

namespace terrane::team {
namespace {

using Kind = api::Principal::Kind;
constexpr std::size_t most_at_once = 100;

/// A team of the path whose tokens the caller may manage.
Task<Visible> require_team(postgres::Tx& tx, const http::Request& request) {
  Visible seen = co_await team::require(tx, api::principal(request), request.parameter("id"));
  if (!seen.access.manage_tokens) throw Error(Code::not_found, "");
  co_return seen;
}

/// A repeated description is told in the words, title and all, that clients look for.
http::Response description_taken() {
  json::object problem{{"status", "422"},
                       {"title", "invalid attributes"},
                       {"detail", "Validation failed: Description has already been taken"},
                       {"source", json::object{{"pointer", "/data/attributes/description"}}}};
  json::object document{{"errors", json::array{std::move(problem)}}};
  return api::answer(422, document);
}

std::string sort_of(const http::Request& request) {
  std::string_view given = request.query.find("sort").value_or("");
  if (given.empty()) return "";
  std::string_view key = given.starts_with('-') ? given.substr(1) : given;
  for (std::string_view known : {"team-name", "created-by", "expired-at", "last-used-at"}) {
    if (key == known) return std::string(given);
  }
  throw Error(Code::invalid, "sort must be team-name, created-by, expired-at or last-used-at.");
}

std::vector<std::string> statuses_of(const http::Request& request) {
  std::vector<std::string> statuses;
  for (std::string_view name : {"filter[expiry_status]", "filter[status]"}) {
    for (std::string_view status : split(request.query.find(name).value_or(""), ',')) {
      bool known = false;
      for (std::string_view one :
           {"active", "expiring_in_7_days", "expiring_in_30_days", "expired", "no_expiration"})
        known = known || one == status;
      if (!known) throw Error(Code::invalid, "There is no status '" + api::excerpt(status) + "' of tokens.");
      statuses.emplace_back(status);
    }
  }
  return statuses;
}

Task<bool> owns_user_token(postgres::Tx&, const api::Principal& principal, const user::Token& token) {
  co_return principal.kind == Kind::user&& principal.id == token.owner_id;
}

Task<bool> manages_team_token(postgres::Tx& tx, const api::Principal& principal, const user::Token& token) {
  std::optional<Team> team = co_await find(tx, principal, token.owner_id);
  if (!team) co_return false;
  auto organization = co_await organization::access_to_organization(tx, principal, team->organization);
  co_return access_to_team(organization, principal, *team).manage_tokens;
}

}  // namespace

TokenApi::TokenApi(postgres::Database& database, user::Tokens& tokens)
    : database_(database), tokens_(tokens) {
  serve("user", owns_user_token);
  serve("team", manages_team_token);
}

void TokenApi::add_routes(http::Router& router) {
  using http::Method;
  using Form = http::Shape::Form;
  using Self = TokenApi;
  const std::string one = "/api/v2/authentication-tokens/:id";
  const std::string legacy = "/api/v2/teams/:id/authentication-token";
  const std::string named = "/api/v2/teams/:id/authentication-tokens";
  const std::string all = "/api/v2/organizations/:organization/team-tokens";
  router.add({Method::get, one, api::bind<&Self::show>(this)});
  router.add({Method::del, one, api::bind<&Self::remove>(this)});
  router.add({Method::post, legacy, api::bind<&Self::create_legacy>(this), 64 * 1024},
             {Form::made, "authentication-tokens", "authentication-tokens.create"});
  router.add({Method::get, legacy, api::bind<&Self::show_legacy>(this)},
             {Form::one, "authentication-tokens"});
  router.add({Method::del, legacy, api::bind<&Self::remove_legacy>(this)});
  router.add({Method::post, named, api::bind<&Self::create_named>(this), 64 * 1024});
  router.add({Method::get, named, api::bind<&Self::list_of_team>(this)});
  router.add({Method::get, all, api::bind<&Self::list_of_organization>(this)},
             {Form::page, "authentication-tokens", "", "q filter[status] filter[expiry_status] sort"});
  router.add({Method::del, all, api::bind<&Self::remove_many>(this), 64 * 1024},
             {Form::nothing, "", "identifiers"});
}

/// The token of the path, which the caller may see.
Task<user::Token> TokenApi::require(postgres::Tx& tx, const http::Request& request) {
  std::optional<user::Token> token = co_await tokens_.find_any(tx, request.parameter("id"));
  auto judge = token ? judges_.find(token->kind) : judges_.end();
  if (judge == judges_.end()) throw Error(Code::not_found, "");
  if (!co_await judge->second(tx, api::principal(request), *token)) throw Error(Code::not_found, "");
  co_return *std::move(token);
}

Task<http::Response> TokenApi::show(http::Request& request) {
  postgres::Tx tx = co_await database_.begin();
  user::Token token = co_await require(tx, request);
  co_return api::answer(200, jsonapi::document(user::encode(token)));
}

Task<http::Response> TokenApi::remove(http::Request& request) {
  const std::string id = request.parameter("id");
  std::function<Task<>(postgres::Tx&)> remove = [&](postgres::Tx& tx) -> Task<> {
    user::Token token = co_await require(tx, request);
    if (!co_await tokens_.revoke(tx, token.kind, token.owner_id, id)) throw Error(Code::not_found, "");
  };
  co_await postgres::transact_remove(database_, remove);
  tokens_.forget(id);
  co_return api::no_content();
}

Task<user::NewToken> TokenApi::make(http::Request& request, bool legacy) {
  const api::Principal& principal = api::principal(request);
  user::TokenRequest wanted = co_await user::read_token_request(request);
  // The old endpoint knows no descriptions; a token without one is the old endpoint's.
  if (legacy) wanted.description.reset();
  if (!legacy && !wanted.description)
    throw Error(Code::unprocessable, "Description can't be blank", "/data/attributes/description");
  std::optional<user::NewToken> made;
  std::function<Task<user::NewToken>(postgres::Tx&)> create = [&](postgres::Tx& tx) -> Task<user::NewToken> {
    Visible seen = co_await require_team(tx, request);
    if (legacy) {
      co_await tx.run(sql::team_token_lock_team, postgres::Params::of(seen.team.id));
      co_await tx.run(sql::team_token_revoke_legacy, postgres::Params::of(seen.team.id));
    }
    made = co_await tokens_.create(tx, "team", seen.team.id.text(), wanted.description, principal.id,
                                   wanted.expired_at);
    co_return *made;
  };
  std::function<Task<std::optional<user::NewToken>>(postgres::Tx&)> lookup =
      [&](postgres::Tx& tx) -> Task<std::optional<user::NewToken>> {
    if (!made || !co_await tokens_.find_any(tx, made->row.id.text())) co_return std::nullopt;
    co_return made;
  };
  user::NewToken token = co_await postgres::transact_create<user::NewToken>(database_, create, lookup);
  if (legacy) tokens_.forget("");
  co_return token;
}

Task<http::Response> TokenApi::create_legacy(http::Request& request) {
  user::NewToken made = co_await make(request, true);
  co_return api::answer(201, jsonapi::document(user::encode(made.row, &made.token)));
}

Task<http::Response> TokenApi::create_named(http::Request& request) {
  try {
    user::NewToken made = co_await make(request, false);
    co_return api::answer(201, jsonapi::document(user::encode(made.row, &made.token)));
  } catch (const Error& error) {
    if (postgres::violated_constraint(error) != "tokens_team_description") throw;
    co_return description_taken();
  }
}

Task<http::Response> TokenApi::show_legacy(http::Request& request) {
  postgres::Tx tx = co_await database_.begin();
  Visible seen = co_await require_team(tx, request);
  postgres::Result rows = co_await tx.run(sql::team_token_legacy, postgres::Params::of(seen.team.id));
  if (rows.empty()) throw Error(Code::not_found, "");
  user::Token token = user::token_from_row(rows[0]);
  co_return api::answer(200, jsonapi::document(user::encode(token)));
}

Task<http::Response> TokenApi::remove_legacy(http::Request& request) {
  std::function<Task<>(postgres::Tx&)> remove = [&](postgres::Tx& tx) -> Task<> {
    Visible seen = co_await require_team(tx, request);
    postgres::Result gone =
        co_await tx.run(sql::team_token_revoke_legacy, postgres::Params::of(seen.team.id));
    if (gone.empty()) throw Error(Code::not_found, "");
  };
  co_await postgres::transact_remove(database_, remove);
  tokens_.forget("");
  co_return api::no_content();
}

Task<http::Response> TokenApi::list_of_team(http::Request& request) {
  const jsonapi::Page page = api::page(request);
  postgres::Tx tx = co_await database_.begin();
  Visible seen = co_await require_team(tx, request);
  auto [tokens, total] = co_await tokens_.list(tx, "team", seen.team.id.text(), page);
  json::array data;
  for (const user::Token& token : tokens) data.push_back(user::encode(token));
  co_return api::answer(200, jsonapi::list_document(std::move(data), page, total, request.path));
}

Task<http::Response> TokenApi::list_of_organization(http::Request& request) {
  const jsonapi::Page page = api::page(request);
  const std::string sort = sort_of(request);
  const std::vector<std::string> statuses = statuses_of(request);
  const api::Principal& principal = api::principal(request);
  if (principal.kind == Kind::run) throw Error(Code::not_found, "");
  postgres::Tx tx = co_await database_.begin();
  auto organization =
      co_await organization::require_organization(tx, principal, request.parameter("organization"));
  postgres::Params params = postgres::Params::of(
      organization.id, organization.manage_teams, organization.own, sees_secret_teams(organization),
      organization::kind_name(principal.kind), principal.id, request.query.find("q").value_or(""), statuses);
  postgres::Result total = co_await tx.run(sql::team_token_count, params);
  params.add(sort);
  params.add(page.size);
  params.add(page.offset());
  postgres::Result rows = co_await tx.run(sql::team_token_list, std::move(params));
  json::array data;
  for (std::size_t i = 0; i < rows.size(); ++i) data.push_back(user::encode(user::token_from_row(rows[i])));
  co_return api::answer(
      200, jsonapi::list_document(std::move(data), page, total[0].integer("total"), request.path));
}

/// All of them or, when one is not there or not the caller's to end, none.
Task<http::Response> TokenApi::remove_many(http::Request& request) {
  json::object body = co_await api::read_object(request);
  const json::array* list = find_array(body, "data");
  if (!list || list->size() > most_at_once) {
    throw Error(Code::unprocessable,
                "The member must be a list of at most " + std::to_string(most_at_once) + " tokens.", "/data");
  }
  const api::Principal& principal = api::principal(request);
  std::function<Task<>(postgres::Tx&)> remove = [&](postgres::Tx& tx) -> Task<> {
    auto organization =
        co_await organization::require_organization(tx, principal, request.parameter("organization"));
    for (std::size_t i = 0; i < list->size(); ++i) {
      const std::string at = "/data/" + std::to_string(i);
      const json::object* item = (*list)[i].if_object();
      const std::string id = item ? find_string(*item, "id").value_or("") : "";
      std::optional<user::Token> token = co_await tokens_.find_any(tx, id);
      bool may = token && token->kind == "team" && co_await manages_team_token(tx, principal, *token);
      if (may) {
        std::optional<Team> team = co_await find(tx, principal, token->owner_id);
        may = team && team->organization_id == organization.id &&
              co_await tokens_.revoke(tx, "team", token->owner_id, id);
      }
      if (!may) throw Error(Code::not_found, "There is no token '" + id + "' of this organization.", at);
    }
  };
  co_await postgres::transact_remove(database_, remove);
  tokens_.forget("");
  co_return api::no_content();
}

}  // namespace terrane::team
