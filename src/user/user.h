#pragma once
#include <optional>
#include <string>
#include <vector>

#include "api/api.h"
#include "base/id.h"
#include "base/time.h"
#include "jsonapi/resource.h"
#include "postgres/database.h"

namespace terrane::user {

/// Somebody who can have tokens and belong to organizations.
struct User {
  static constexpr std::string_view id_prefix = "user";
  Id<User> id;
  std::string username;
  std::string email;
  bool is_site_admin = false;
  bool is_service_account = false;
};

/// The fields of `users` on the wire and in the table.
const jsonapi::Resource& resource();

/// The resource object of a user. Who is neither the user nor a site admin does not see the address
/// (`with_private` false).
json::object encode(const User& user, bool with_private);

/// The user; nothing when there is none.
Task<std::optional<User>> find(postgres::Tx& tx, const Id<User>& id);

/// Inserts the user. Throws Error{unprocessable} with a pointer when name or address is taken.
/// `password_hash` nothing: no login by password.
Task<> insert(postgres::Tx& tx, const User& user, const std::optional<std::string>& password_hash);

/// Whether the principal may know of the user: the same one, a site admin, or one who shares an organization.
/// Runs see nobody.
Task<bool> is_visible(postgres::Tx& tx, const api::Principal& principal, const Id<User>& id);

/// Those of the users that the principal may know of, as is_visible says, by one statement.
Task<std::vector<User>> find_visible(postgres::Tx& tx, const api::Principal& principal,
                                     const std::vector<std::string>& ids);

/// Turns the violation of a unique name or address into Error{unprocessable} with a pointer below `at`; gives
/// other errors back unchanged.
Error taken(const Error& error, std::string_view at);

// Rules of single values; each returns what is wrong, or nothing.
std::optional<std::string> valid_username(const json::value& given);  ///< letters, digits, '-' and '_', 1..60
std::optional<std::string> valid_email(
    const json::value& given);  ///< one '@' between two parts, at most 254 bytes
std::optional<std::string> valid_password(std::string_view given);  ///< 10..1024 bytes

}  // namespace terrane::user
