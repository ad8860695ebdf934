#include "user/user_api.h"

#include "base/text.h"
#include "crypto/password.h"
#include "net/io.h"
#include "postgres/known_commit.h"
#include "user/initial_admin.h"
#include "user/token_request.h"
#include "user/user.h"
#include "user/user_sql.h"

namespace terrane::user {
namespace {

using Kind = api::Principal::Kind;

/// The user behind the request; organizations, teams and runs have no account.
const api::Principal& require_user(const http::Request& request) {
  const api::Principal& principal = api::principal(request);
  if (principal.kind != Kind::user) throw Error(Code::not_found, "");
  return principal;
}

/// The user behind the request, who must be the one of the path: nobody sees another's tokens.
const api::Principal& require_self(const http::Request& request) {
  const api::Principal& principal = require_user(request);
  if (principal.id != request.parameter("id")) throw Error(Code::not_found, "");
  return principal;
}

/// Tokens of organizations and teams act as a service account, which has a name but no row.
User service_account(const api::Principal& principal) {
  std::string_view prefix = principal.kind == Kind::team ? "api-team_" : "api-org-";
  return {Id<User>(principal.id), std::string(prefix) + principal.name, "", false, true};
}

http::Response plain(int status, const json::object& body) {
  http::Response response;
  response.status = status;
  response.headers.set("Content-Type", "application/json");
  response.body = json::serialize(body);
  return response;
}

/// A member of a plain JSON body that must be a string and keep a rule.
std::string checked(const json::object& body, std::string_view key,
                    std::optional<std::string> (*rule)(const json::value&)) {
  const json::value* value = body.if_contains(key);
  const std::string pointer = "/" + std::string(key);
  if (!value || !value->is_string())
    throw Error(Code::unprocessable, std::string(key) + " must be a string", pointer);
  if (!is_clean_utf8(value->get_string()))
    throw Error(Code::unprocessable, std::string(key) + " must be UTF-8 text without NUL", pointer);
  if (std::optional<std::string> wrong = rule(*value)) throw Error(Code::unprocessable, *wrong, pointer);
  return std::string(value->get_string());
}

std::optional<std::string> password_rule(const json::value& given) {
  return valid_password(given.get_string());
}

/// The initial-admin endpoint has its own form of errors.
http::Response initial_admin_error(const Error& error) {
  int status = 422;
  if (error.code() == Code::invalid) status = 400;
  if (error.code() == Code::unauthorized) status = 401;
  if (error.code() == Code::not_found) status = 404;
  return plain(status, json::object{{"status", "error"}, {"error", error.detail()}});
}

Task<std::vector<json::object>> load_users(postgres::Tx& tx, const api::Principal& principal,
                                           const std::vector<std::string>& ids) {
  std::vector<json::object> out;
  for (const User& user : co_await find_visible(tx, principal, ids)) {
    const bool is_self = principal.kind == Kind::user && principal.id == user.id.text();
    out.push_back(encode(user, is_self || principal.site_admin));
  }
  co_return out;
}

bool is_the_callers_fault(Code code) {
  return code == Code::invalid || code == Code::unauthorized || code == Code::not_found ||
         code == Code::unprocessable;
}

}  // namespace

void UserApi::add_routes(http::Router& router) {
  using http::Method;
  using Form = http::Shape::Form;
  using Self = UserApi;
  router.add({Method::get, "/api/v2/account/details", api::bind<&Self::show_account>(this)},
             {Form::one, "users"});
  router.add({Method::patch, "/api/v2/account/update", api::bind<&Self::update_account>(this)},
             {Form::one, "users", "users.update"});
  router.add({Method::patch, "/api/v2/account/password", api::bind<&Self::change_password>(this), 64 * 1024},
             {Form::one, "users", "passwords.create"});
  router.add({Method::get, "/api/v2/users/:id", api::bind<&Self::show_user>(this)});
  router.add({Method::get, "/api/v2/users/:id/authentication-tokens", api::bind<&Self::list_tokens>(this)});
  router.add({Method::post, "/api/v2/users/:id/authentication-tokens", api::bind<&Self::create_token>(this),
              64 * 1024});
  router.add({Method::post, "/admin/initial-admin-user", api::bind<&Self::create_initial_admin>(this),
              64 * 1024, false});
  includes_.add_resource("users", load_users);
}

Task<http::Response> UserApi::show_account(http::Request& request) {
  const api::Principal& principal = api::principal(request);
  if (principal.kind == Kind::run || principal.kind == Kind::audit_trails) throw Error(Code::not_found, "");
  if (principal.kind != Kind::user)
    co_return api::answer(200, jsonapi::document(encode(service_account(principal), true)));
  postgres::Tx tx = co_await database_.begin();
  std::optional<User> user = co_await find(tx, Id<User>(principal.id));
  if (!user) throw Error(Code::not_found, "");
  co_return api::answer(200, jsonapi::document(encode(*user, true)));
}

Task<http::Response> UserApi::update_account(http::Request& request) {
  const api::Principal& principal = require_user(request);
  json::object data = co_await api::read_data(request, resource().type);
  User given;
  json::object columns = jsonapi::decode(resource(), data, jsonapi::update, &given);
  std::function<Task<User>(postgres::Tx&)> change = [&](postgres::Tx& tx) -> Task<User> {
    postgres::Result changed = co_await tx.run(sql::user_update, postgres::Params::of(principal.id, columns));
    std::optional<postgres::Row> row = changed.one();
    if (!row) throw Error(Code::not_found, "");
    User user = jsonapi::from_row<User>(resource(), *row);
    user.id = Id<User>(principal.id);
    co_return user;
  };
  std::optional<Error> failure;
  try {
    User user = co_await postgres::transact_change<User>(database_, change);
    tokens_.forget("");
    co_return api::answer(200, jsonapi::document(encode(user, true)));
  } catch (const postgres::UnknownCommit&) {
    throw;
  } catch (const Error& error) {
    failure = taken(error, "/data/attributes");
  }
  throw *failure;
}

Task<http::Response> UserApi::change_password(http::Request& request) {
  const api::Principal& principal = require_user(request);
  json::object data = co_await api::read_data(request, resource().type, 64 * 1024);
  const json::object* given = find_object(data, "attributes");
  auto attribute = [&](std::string_view name) {
    return Secret(given ? find_string(*given, name).value_or("") : "");
  };
  Secret current = attribute("current_password");
  Secret password = attribute("password");
  if (std::optional<std::string> wrong = valid_password(password.reveal())) {
    throw Error(Code::unprocessable, *wrong, "/data/attributes/password");
  }
  if (attribute("password_confirmation").reveal() != password.reveal()) {
    throw Error(Code::unprocessable, "Password confirmation doesn't match Password",
                "/data/attributes/password_confirmation");
  }

  postgres::Result found = co_await database_.query(sql::user_password, postgres::Params::of(principal.id));
  std::optional<postgres::Row> row = found.one();
  if (!row) throw Error(Code::not_found, "");
  const std::optional<std::string> before = row->opt_string("password_hash");
  std::function<std::optional<std::string>()> work = [&]() -> std::optional<std::string> {
    if (before && !crypto::verify_password(current, *before)) return std::nullopt;
    return crypto::hash_password(password);
  };
  std::optional<std::string> after = co_await net::blocking_result<std::optional<std::string>>(work);
  if (!after)
    throw Error(Code::unprocessable, "Current password is incorrect", "/data/attributes/current_password");

  postgres::Result changed =
      co_await database_.query(sql::user_set_password, postgres::Params::of(principal.id, before, *after));
  if (changed.affected() == 0) throw Error(Code::conflict, "The password was changed at the same time.");
  co_return co_await show_account(request);
}

Task<http::Response> UserApi::show_user(http::Request& request) {
  const api::Principal& principal = api::principal(request);
  const Id<User> id(request.parameter("id"));
  postgres::Tx tx = co_await database_.begin();
  std::optional<User> user = co_await find(tx, id);
  if (!user || !co_await is_visible(tx, principal, id)) throw Error(Code::not_found, "");
  const bool with_private =
      principal.kind == Kind::user && (principal.id == id.text() || principal.site_admin);
  co_return api::answer(200, jsonapi::document(encode(*user, with_private)));
}

Task<http::Response> UserApi::list_tokens(http::Request& request) {
  const api::Principal& principal = require_self(request);
  jsonapi::Page page = api::page(request);
  postgres::Tx tx = co_await database_.begin();
  auto [tokens, total] = co_await tokens_.list(tx, "user", principal.id, page);
  json::array data;
  for (const Token& token : tokens) data.push_back(encode(token));
  co_return api::answer(200, jsonapi::list_document(std::move(data), page, total, request.path));
}

Task<http::Response> UserApi::create_token(http::Request& request) {
  const api::Principal& principal = require_self(request);
  TokenRequest wanted = co_await read_token_request(request);
  std::optional<NewToken> made;
  std::function<Task<NewToken>(postgres::Tx&)> create = [&](postgres::Tx& tx) -> Task<NewToken> {
    made = co_await tokens_.create(tx, "user", principal.id, wanted.description, principal.id,
                                   wanted.expired_at);
    co_return *made;
  };
  std::function<Task<std::optional<NewToken>>(postgres::Tx&)> lookup =
      [&](postgres::Tx& tx) -> Task<std::optional<NewToken>> {
    if (!made || !co_await tokens_.find(tx, "user", principal.id, made->row.id.text()))
      co_return std::nullopt;
    co_return made;
  };
  NewToken token = co_await postgres::transact_create<NewToken>(database_, create, lookup);
  co_return api::answer(201, jsonapi::document(encode(token.row, &token.token)));
}

Task<http::Response> UserApi::create_initial_admin(http::Request& request) {
  try {
    std::string token(request.query.find("token").value_or(""));
    json::object body = co_await api::read_object(request);
    InitialAdmin admin{checked(body, "username", valid_username), checked(body, "email", valid_email),
                       Secret(checked(body, "password", password_rule))};
    NewToken made =
        co_await user::create_initial_admin(database_, tokens_, std::move(token), std::move(admin));
    co_return plain(200, json::object{{"status", "created"}, {"token", made.token.reveal()}});
  } catch (const Error& error) {
    if (!is_the_callers_fault(error.code())) throw;
    co_return initial_admin_error(error);
  }
}

}  // namespace terrane::user
