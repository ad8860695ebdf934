#pragma once
#include "api/api.h"
#include "api/includes.h"
#include "http/router.h"
#include "postgres/database.h"
#include "variable/variable.h"
#include "vault_client/vault.h"

namespace terrane::variable {

/// The endpoints of the variables of workspaces and of variable sets. It must outlive the router.
class VariableApi {
 public:
  VariableApi(postgres::Database& database, vault_client::Vault& vault, api::Includes& includes)
      : database_(database), vault_(vault), includes_(includes) {}
  void add_routes(http::Router& router);

 private:
  Task<http::Response> list(http::Request& request);
  Task<http::Response> list_effective(http::Request& request);
  Task<http::Response> create(http::Request& request);
  Task<http::Response> show(http::Request& request);
  Task<http::Response> update(http::Request& request);
  Task<http::Response> remove(http::Request& request);

  Task<std::vector<json::object>> load(postgres::Tx& tx, const api::Principal& principal,
                                       const std::vector<std::string>& ids);
  Task<http::Response> answer_with_all(std::vector<Variable> variables);

  postgres::Database& database_;
  vault_client::Vault& vault_;
  api::Includes& includes_;
};

}  // namespace terrane::variable
