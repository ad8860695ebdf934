#pragma once
#include "api/api.h"
#include "api/includes.h"
#include "http/router.h"
#include "postgres/database.h"
#include "user/tokens.h"

namespace terrane::user {

/// The endpoints of users, the own account, user tokens and the first admin. It must outlive the router.
class UserApi {
 public:
  UserApi(postgres::Database& database, Tokens& tokens, api::Includes& includes)
      : database_(database), tokens_(tokens), includes_(includes) {}
  void add_routes(http::Router& router);

 private:
  Task<http::Response> show_account(http::Request& request);
  Task<http::Response> update_account(http::Request& request);
  Task<http::Response> change_password(http::Request& request);
  Task<http::Response> show_user(http::Request& request);
  Task<http::Response> list_tokens(http::Request& request);
  Task<http::Response> create_token(http::Request& request);
  Task<http::Response> show_token(http::Request& request);
  Task<http::Response> delete_token(http::Request& request);
  Task<http::Response> create_initial_admin(http::Request& request);

  postgres::Database& database_;
  Tokens& tokens_;
  api::Includes& includes_;
};

}  // namespace terrane::user
