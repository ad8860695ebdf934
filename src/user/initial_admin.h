#pragma once
#include <string>

#include "base/secret.h"
#include "base/task.h"
#include "postgres/database.h"
#include "user/tokens.h"

namespace terrane::user {

/// Makes a one-time right to create the first admin, valid for 60 minutes. Throws Error{conflict} when a user
/// exists.
Task<Secret> issue_initial_admin_token(postgres::Database& database, const Tokens& tokens);

struct InitialAdmin {
  std::string username;
  std::string email;
  Secret password;
};

/// Creates the first user, a site admin, by a one-time token, and a token for that user, in one transaction
/// with one conditional insert. Suspends for the password's hash. Throws Error{not_found} when there is a
/// user already, Error{unauthorized} when the token is unknown, used or expired; neither changes anything.
Task<NewToken> create_initial_admin(postgres::Database& database, Tokens& tokens, std::string token,
                                    InitialAdmin admin);

/// For the demo: makes the site admin `admin`, who has no password, when there is no site admin, and always a
/// fresh token of the first one, valid for 30 days. Expired ones of that user are removed. Throws
/// Error{conflict} when another user has that name.
Task<NewToken> ensure_demo_admin(postgres::Tx& tx, Tokens& tokens);

}  // namespace terrane::user
