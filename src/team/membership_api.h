#pragma once
#include "api/includes.h"
#include "http/router.h"
#include "postgres/database.h"
#include "team/membership.h"

namespace terrane::team {

/// The endpoints of organization memberships: by invitation, without mail. It must outlive the router.
class MembershipApi {
 public:
  MembershipApi(postgres::Database& database, api::Includes& includes)
      : database_(database), includes_(includes) {}
  void add_routes(http::Router& router);

 private:
  Task<http::Response> list(http::Request& request);
  Task<http::Response> list_own(http::Request& request);
  Task<http::Response> create(http::Request& request);
  Task<http::Response> show(http::Request& request);
  Task<http::Response> remove(http::Request& request);

  postgres::Database& database_;
  api::Includes& includes_;
};

}  // namespace terrane::team
