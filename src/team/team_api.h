#pragma once
#include "api/includes.h"
#include "http/router.h"
#include "postgres/database.h"
#include "team/team.h"
#include "user/tokens.h"

namespace terrane::team {

/// The endpoints of teams and of who is in them. It must outlive the router.
class TeamApi {
 public:
  TeamApi(postgres::Database& database, user::Tokens& tokens, api::Includes& includes)
      : database_(database), tokens_(tokens), includes_(includes) {}
  void add_routes(http::Router& router);

 private:
  Task<http::Response> list(http::Request& request);
  Task<http::Response> create(http::Request& request);
  Task<http::Response> show(http::Request& request);
  Task<http::Response> update(http::Request& request);
  Task<http::Response> remove(http::Request& request);
  Task<http::Response> list_memberships(http::Request& request);
  Task<http::Response> add_users(http::Request& request);
  Task<http::Response> remove_users(http::Request& request);
  Task<http::Response> add_memberships(http::Request& request);
  Task<http::Response> remove_memberships(http::Request& request);

  /// How a request names people: by user name, or by membership.
  enum class By { username, membership };
  enum class Change { add, remove };
  Task<http::Response> answer_one(postgres::Tx& tx, const http::Request& request, int status,
                                  const Visible& seen);
  Task<http::Response> change_members(http::Request& request, By by, Change change);

  postgres::Database& database_;
  user::Tokens& tokens_;
  api::Includes& includes_;
};

}  // namespace terrane::team
