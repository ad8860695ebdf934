#pragma once
#include "api/api.h"
#include "api/includes.h"
#include "http/router.h"
#include "postgres/database.h"
#include "variable/variable_set.h"
#include "vault_client/vault.h"

namespace terrane::variable {

/// The endpoints of variable sets. It must outlive the router.
class VariableSetApi {
 public:
  VariableSetApi(postgres::Database& database, vault_client::Vault& vault, api::Includes& includes)
      : database_(database), vault_(vault), includes_(includes) {}
  void add_routes(http::Router& router);

 private:
  Task<http::Response> list(http::Request& request);
  Task<http::Response> list_of_workspace(http::Request& request);
  Task<http::Response> list_of_project(http::Request& request);
  Task<http::Response> create(http::Request& request);
  Task<http::Response> show(http::Request& request);
  Task<http::Response> update(http::Request& request);
  Task<http::Response> remove(http::Request& request);
  Task<http::Response> apply_to_workspaces(http::Request& request);
  Task<http::Response> apply_to_projects(http::Request& request);
  Task<http::Response> unapply_from_workspaces(http::Request& request);
  Task<http::Response> unapply_from_projects(http::Request& request);

  enum class Change { apply, unapply };
  Task<http::Response> change_targets(http::Request& request, Target target, Change change);
  Task<http::Response> answer_with_list(postgres::Tx& tx, const http::Request& request, Sets which,
                                        const std::string& of_id);

  postgres::Database& database_;
  vault_client::Vault& vault_;
  api::Includes& includes_;
};

}  // namespace terrane::variable
