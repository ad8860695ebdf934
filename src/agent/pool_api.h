#pragma once
#include "api/api.h"
#include "api/includes.h"
#include "http/router.h"
#include "postgres/database.h"
#include "user/tokens.h"

namespace terrane::agent {

/// The endpoints of agent pools and of their tokens. It must outlive the router.
class PoolApi {
 public:
  PoolApi(postgres::Database& database, user::Tokens& tokens, api::Includes& includes)
      : database_(database), tokens_(tokens), includes_(includes) {}
  void add_routes(http::Router& router);

 private:
  Task<http::Response> list(http::Request& request);
  Task<http::Response> create(http::Request& request);
  Task<http::Response> show(http::Request& request);
  Task<http::Response> update(http::Request& request);
  Task<http::Response> remove(http::Request& request);
  Task<http::Response> list_agents(http::Request& request);
  Task<http::Response> list_tokens(http::Request& request);
  Task<http::Response> create_token(http::Request& request);

  postgres::Database& database_;
  user::Tokens& tokens_;
  api::Includes& includes_;
};

}  // namespace terrane::agent
