#pragma once
#include "api/api.h"
#include "http/router.h"
#include "postgres/database.h"

namespace terrane::workspace {

/// The endpoints of a workspace's own data retention policy. It must outlive the router.
class RetentionApi {
 public:
  explicit RetentionApi(postgres::Database& database) : database_(database) {}
  void add_routes(http::Router& router);

 private:
  Task<http::Response> show(http::Request& request);
  Task<http::Response> set(http::Request& request);
  Task<http::Response> remove(http::Request& request);

  postgres::Database& database_;
};

}  // namespace terrane::workspace
