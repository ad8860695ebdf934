#pragma once
#include "api/api.h"
#include "http/router.h"
#include "postgres/database.h"

namespace terrane::installation {

/// The endpoints of engine versions, which only site admins see. It must outlive the router.
class TerraformVersionApi {
 public:
  explicit TerraformVersionApi(postgres::Database& database) : database_(database) {}
  void add_routes(http::Router& router);

 private:
  Task<http::Response> list(http::Request& request);
  Task<http::Response> create(http::Request& request);
  Task<http::Response> show(http::Request& request);
  Task<http::Response> update(http::Request& request);
  Task<http::Response> remove(http::Request& request);

  postgres::Database& database_;
};

}  // namespace terrane::installation
