#pragma once
#include "api/api.h"
#include "api/includes.h"
#include "http/router.h"
#include "postgres/database.h"

namespace terrane::organization {

/// The endpoints of feature sets, subscriptions and entitlements. It must outlive the router.
class SubscriptionApi {
 public:
  SubscriptionApi(postgres::Database& database, api::Includes& includes)
      : database_(database), includes_(includes) {}
  void add_routes(http::Router& router);

 private:
  Task<http::Response> show_entitlements(http::Request& request);
  Task<http::Response> list_offered(http::Request& request);
  Task<http::Response> list_for_organization(http::Request& request);
  Task<http::Response> list_all(http::Request& request);
  Task<http::Response> show(http::Request& request);
  Task<http::Response> show_of_organization(http::Request& request);
  Task<http::Response> show_as_admin(http::Request& request);
  Task<http::Response> subscribe_as_admin(http::Request& request);

  postgres::Database& database_;
  api::Includes& includes_;
};

}  // namespace terrane::organization
