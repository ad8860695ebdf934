#pragma once
#include "api/api.h"
#include "api/includes.h"
#include "http/router.h"
#include "workspace/workspace.h"

namespace terrane::workspace {

/// Endpoints of workspaces: read, list, create, update, delete, move, lock, unlock, force-unlock, resources,
/// remote state consumers. It must outlive the router.
class Api {
 public:
  Api(postgres::Database& database, api::Includes& includes) : database_(database), includes_(includes) {}
  void add_routes(http::Router& router);

 private:
  Task<http::Response> list(http::Request& request);
  Task<http::Response> create(http::Request& request);
  Task<http::Response> show(http::Request& request);
  Task<http::Response> show_by_name(http::Request& request);
  Task<http::Response> update(http::Request& request);
  Task<http::Response> update_by_name(http::Request& request);
  Task<http::Response> remove(http::Request& request);
  Task<http::Response> remove_by_name(http::Request& request);
  Task<http::Response> safe_delete(http::Request& request);
  Task<http::Response> safe_delete_by_name(http::Request& request);
  Task<http::Response> move_into_project(http::Request& request);
  Task<http::Response> resources(http::Request& request);
  Task<http::Response> lock(http::Request& request);
  Task<http::Response> unlock(http::Request& request);
  Task<http::Response> force_unlock(http::Request& request);
  Task<http::Response> list_consumers(http::Request& request);
  Task<http::Response> add_consumers(http::Request& request);
  Task<http::Response> remove_consumers(http::Request& request);
  Task<http::Response> replace_consumers(http::Request& request);

  void add_includes();
  Task<http::Response> update_one(http::Request& request, std::string id);
  /// Whether a deletion may take resources' state with it.
  enum class Deletion { whatever_it_manages, nothing_managed };
  Task<http::Response> remove_one(http::Request& request, std::string id, Deletion deletion);
  Task<std::string> id_by_name(postgres::Tx& tx, const http::Request& request);

  postgres::Database& database_;
  api::Includes& includes_;
};

}  // namespace terrane::workspace
