#pragma once
#include "api/api.h"
#include "api/includes.h"
#include "http/router.h"
#include "organization/access.h"
#include "postgres/database.h"
#include "user/tokens.h"

namespace terrane::organization {

/// The endpoints of organizations, their entitlements, their token and their projects. It must outlive the
/// router.
class OrganizationApi {
 public:
  OrganizationApi(postgres::Database& database, user::Tokens& tokens, api::Includes& includes)
      : database_(database), tokens_(tokens), includes_(includes) {}
  void add_routes(http::Router& router);

 private:
  Task<http::Response> list(http::Request& request);
  Task<http::Response> create(http::Request& request);
  Task<http::Response> show(http::Request& request);
  Task<http::Response> update(http::Request& request);
  Task<http::Response> remove(http::Request& request);
  Task<http::Response> show_entitlements(http::Request& request);
  Task<http::Response> create_token(http::Request& request);
  Task<http::Response> show_token(http::Request& request);
  Task<http::Response> delete_token(http::Request& request);

  postgres::Database& database_;
  user::Tokens& tokens_;
  api::Includes& includes_;
};

/// The endpoints of projects. It must outlive the router.
class ProjectApi {
 public:
  ProjectApi(postgres::Database& database, api::Includes& includes)
      : database_(database), includes_(includes) {}
  void add_routes(http::Router& router);

 private:
  Task<http::Response> list(http::Request& request);
  Task<http::Response> create(http::Request& request);
  Task<http::Response> show(http::Request& request);
  Task<http::Response> update(http::Request& request);
  Task<http::Response> remove(http::Request& request);

  postgres::Database& database_;
  api::Includes& includes_;
};

}  // namespace terrane::organization
