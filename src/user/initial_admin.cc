#include "user/initial_admin.h"

#include "crypto/password.h"
#include "crypto/random.h"
#include "net/io.h"
#include "postgres/known_commit.h"
#include "user/tokens_sql.h"
#include "user/user.h"
#include "user/user_sql.h"

namespace terrane::user {
namespace {

constexpr std::chrono::days demo_token_life{30};

/// Says why the right to create the first admin cannot be used, if so.
Task<> check_right(postgres::Tx& tx, const std::string& hash) {
  postgres::Result result =
      co_await tx.run(sql::initial_admin_token_valid, postgres::Params::of(postgres::Bytes{hash}));
  if (result[0].boolean("any_user")) throw Error(Code::not_found, "The initial admin user exists already.");
  if (!result[0].boolean("valid")) throw Error(Code::unauthorized, "The token is not valid or has expired.");
}

}  // namespace

Task<Secret> issue_initial_admin_token(postgres::Database& database, const Tokens& tokens) {
  Secret token(crypto::random_text(64));
  const std::string hash = tokens.hash(token.reveal());
  co_await database.query(sql::initial_admin_token_forget_expired);
  postgres::Result made =
      co_await database.query(sql::initial_admin_token_insert, postgres::Params::of(postgres::Bytes{hash}));
  if (made.empty())
    throw Error(Code::conflict, "There are users already; a site admin can make further tokens.");
  co_return token;
}

Task<NewToken> create_initial_admin(postgres::Database& database, Tokens& tokens, std::string token,
                                    InitialAdmin admin) {
  const std::string hash = tokens.hash(token);
  {
    // Looked at before the hash of the password, which costs: a stranger shall not make us work.
    postgres::Tx tx = co_await database.begin();
    co_await check_right(tx, hash);
  }
  std::function<std::string()> hash_password = [&] { return crypto::hash_password(admin.password); };
  const std::string password_hash = co_await net::blocking_result<std::string>(hash_password);

  const Id<User> id = Id<User>::make();
  std::optional<NewToken> made;
  std::function<Task<NewToken>(postgres::Tx&)> create = [&](postgres::Tx& tx) -> Task<NewToken> {
    co_await tx.run(sql::user_lock_table);
    postgres::Result inserted = co_await tx.run(
        sql::initial_admin_insert,
        postgres::Params::of(postgres::Bytes{hash}, id, admin.username, admin.email, password_hash));
    if (inserted.affected() == 0) {
      co_await check_right(tx, hash);
      throw Error(Code::unauthorized, "The token is not valid or has expired.");
    }
    made = co_await tokens.create(tx, "user", id.text(), "Initial admin", id.text(), std::nullopt);
    co_return *made;
  };
  std::function<Task<std::optional<NewToken>>(postgres::Tx&)> lookup =
      [&](postgres::Tx& tx) -> Task<std::optional<NewToken>> {
    if (!made || !co_await find(tx, id)) co_return std::nullopt;
    co_return made;
  };
  co_return co_await postgres::transact_create<NewToken>(database, create, lookup);
}

Task<NewToken> ensure_demo_admin(postgres::Tx& tx, Tokens& tokens) {
  co_await tx.run(sql::user_lock_table);
  postgres::Result first = co_await tx.run(sql::user_first_site_admin);
  Id<User> id = Id<User>::make();
  if (std::optional<postgres::Row> row = first.one()) {
    id = Id<User>(row->string("id"));
  } else {
    User admin{id, "admin", "admin@localhost", true, false};
    co_await insert(tx, admin, std::nullopt);
  }
  co_await tx.run(sql::token_revoke_expired, postgres::Params::of("user", id));
  co_return co_await tokens.create(tx, "user", id.text(), "Demo", id.text(), now() + demo_token_life);
}

}  // namespace terrane::user
