#pragma once
#include <functional>
#include <map>
#include <string>

#include "http/router.h"
#include "postgres/database.h"
#include "team/team.h"
#include "user/tokens.h"

namespace terrane::team {

/// The endpoints of teams' tokens, and those that name a token of any kind by its id. It must outlive the
/// router.
class TokenApi {
 public:
  TokenApi(postgres::Database& database, user::Tokens& tokens);
  void add_routes(http::Router& router);

  /// Whether a principal may see and end a token of one kind.
  using Judge =
      std::function<Task<bool>(postgres::Tx& tx, const api::Principal& principal, const user::Token& token)>;
  /// Lets `/authentication-tokens/:id` serve tokens of another domain's kind, too.
  void serve(std::string kind, Judge judge) { judges_.insert_or_assign(std::move(kind), std::move(judge)); }

 private:
  Task<http::Response> show(http::Request& request);
  Task<http::Response> remove(http::Request& request);
  Task<http::Response> create_legacy(http::Request& request);
  Task<http::Response> show_legacy(http::Request& request);
  Task<http::Response> remove_legacy(http::Request& request);
  Task<http::Response> create_named(http::Request& request);
  Task<http::Response> list_of_team(http::Request& request);
  Task<http::Response> list_of_organization(http::Request& request);
  Task<http::Response> remove_many(http::Request& request);

  Task<user::Token> require(postgres::Tx& tx, const http::Request& request);
  Task<user::NewToken> make(http::Request& request, bool legacy);

  postgres::Database& database_;
  user::Tokens& tokens_;
  std::map<std::string, Judge, std::less<>> judges_;
};

}  // namespace terrane::team
