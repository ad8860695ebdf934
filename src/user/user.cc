#include "user/user.h"

#include "base/text.h"
#include "user/user_sql.h"

namespace terrane::user {
namespace {

/// A disc as a data URL: clients want an address here, and one elsewhere would tell others who works with us.
constexpr std::string_view avatar =
    "data:image/svg+xml,%3Csvg%20xmlns='http://www.w3.org/2000/svg'%20viewBox='0%200%2040%2040'%3E"
    "%3Ccircle%20cx='20'%20cy='20'%20r='20'%20fill='%235b6b7b'/%3E%3C/svg%3E";

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

const std::array attributes{
    jsonapi::attr<&User::username>("username", "username", jsonapi::create | jsonapi::update, valid_username),
    jsonapi::attr<&User::email>("email", "email", jsonapi::create | jsonapi::update, valid_email),
    jsonapi::attr<&User::is_site_admin>("is-site-admin", "is_site_admin"),
    jsonapi::attr<&User::is_site_admin>("is-admin", "is_site_admin"),
    jsonapi::attr<&User::is_service_account>("is-service-account", "is_service_account"),
};

}  // namespace

const jsonapi::Resource& resource() {
  static const jsonapi::Resource table{"users", attributes, {}};
  return table;
}

json::object encode(const User& user, bool with_private) {
  json::object out = jsonapi::encode(resource(), &user, user.id.text());
  json::object& shown = out["attributes"].as_object();
  if (!with_private) {
    for (std::string_view name : {"email", "is-site-admin", "is-admin"}) shown.erase(name);
  }
  shown["unconfirmed-email"] = nullptr;
  shown["avatar-url"] = avatar;
  shown["v2-only"] = true;
  shown["is-sso-login"] = false;
  shown["two-factor"] = json::object{{"enabled", false}, {"verified", false}};
  const bool own = with_private && !user.is_service_account;
  shown["permissions"] = json::object{{"can-create-organizations", own}, {"can-change-email", own},
                                      {"can-change-username", own},      {"can-manage-user-tokens", own},
                                      {"can-view2fa-settings", false},   {"can-manage-hcp-account", false}};
  return out;
}

Task<std::optional<User>> find(postgres::Tx& tx, const Id<User>& id) {
  postgres::Result result = co_await tx.run(sql::user_find, postgres::Params::of(id));
  std::optional<postgres::Row> row = result.one();
  if (!row) co_return std::nullopt;
  User user = jsonapi::from_row<User>(resource(), *row);
  user.id = Id<User>(row->string("id"));
  co_return user;
}

Task<> insert(postgres::Tx& tx, const User& user, const std::optional<std::string>& password_hash) {
  try {
    co_await tx.run(sql::user_insert, postgres::Params::of(user.id, user.username, user.email, password_hash,
                                                           user.is_site_admin, user.is_service_account));
  } catch (const Error& error) {
    throw taken(error, "/data/attributes");
  }
}

Task<bool> is_visible(postgres::Tx& tx, const api::Principal& principal, const Id<User>& id) {
  using Kind = api::Principal::Kind;
  if (principal.kind == Kind::run) co_return false;
  if (principal.kind == Kind::user && (principal.site_admin || principal.id == id.text())) co_return true;
  std::string_view kind = principal.kind == Kind::user   ? "user"
                          : principal.kind == Kind::team ? "team"
                                                         : "organization";
  postgres::Result result =
      co_await tx.run(sql::user_shares_organization, postgres::Params::of(kind, principal.id, id));
  co_return result[0].boolean("shares");
}

Task<std::vector<User>> find_visible(postgres::Tx& tx, const api::Principal& principal,
                                     const std::vector<std::string>& ids) {
  using Kind = api::Principal::Kind;
  std::vector<User> users;
  if (principal.kind == Kind::run) co_return users;
  const bool is_user = principal.kind == Kind::user;
  const std::string_view kind = !is_user ? "organization" : principal.site_admin ? "admin" : "user";
  postgres::Result rows = co_await tx.run(
      sql::user_find_visible, postgres::Params::of(kind, principal.id, principal.organization_id, ids));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    User user = jsonapi::from_row<User>(resource(), rows[i]);
    user.id = Id<User>(rows[i].string("id"));
    users.push_back(std::move(user));
  }
  co_return users;
}

Error taken(const Error& error, std::string_view at) {
  std::string_view constraint = postgres::violated_constraint(error);
  if (constraint == "users_username") {
    return Error(Code::unprocessable, "Username has already been taken", std::string(at) + "/username");
  }
  if (constraint == "users_email") {
    return Error(Code::unprocessable, "Email has already been taken", std::string(at) + "/email");
  }
  return error;
}

std::optional<std::string> valid_username(const json::value& given) {
  if (!given.is_string()) return std::nullopt;
  std::string_view text = given.get_string();
  if (text.empty()) return "Username can't be blank";
  if (text.size() > 60) return "Username is too long (maximum is 60 characters)";
  if (!std::all_of(text.begin(), text.end(), is_word))
    return "Username can only include letters, numbers, - and _.";
  return std::nullopt;
}

std::optional<std::string> valid_email(const json::value& given) {
  if (!given.is_string()) return std::nullopt;
  std::string_view text = given.get_string();
  if (text.empty()) return "Email can't be blank";
  if (text.size() > 254) return "Email is too long (maximum is 254 characters)";
  const std::size_t at = text.find('@');
  const bool two_parts =
      at != std::string_view::npos && at > 0 && at + 1 < text.size() && text.rfind('@') == at;
  const bool plain =
      std::none_of(text.begin(), text.end(), [](char c) { return c >= 0 && (c <= ' ' || c == 0x7f); });
  if (!two_parts || !plain) return "Email is invalid";
  return std::nullopt;
}

std::optional<std::string> valid_password(std::string_view given) {
  if (given.size() < 10) return "Password is too short (minimum is 10 characters)";
  if (given.size() > 1024) return "Password is too long (maximum is 1024 bytes)";
  return std::nullopt;
}

}  // namespace terrane::user
