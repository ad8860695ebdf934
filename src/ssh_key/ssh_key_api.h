#pragma once
#include "api/api.h"
#include "http/router.h"
#include "postgres/database.h"
#include "vault_client/vault.h"

namespace terrane::ssh_key {

/// The endpoints of SSH keys and of their assignment to workspaces. It must outlive the router.
class Api {
 public:
  Api(postgres::Database& database, vault_client::Vault& vault) : database_(database), vault_(vault) {}
  void add_routes(http::Router& router);

 private:
  Task<http::Response> list(http::Request& request);
  Task<http::Response> create(http::Request& request);
  Task<http::Response> show(http::Request& request);
  Task<http::Response> update(http::Request& request);
  Task<http::Response> remove(http::Request& request);
  Task<http::Response> assign(http::Request& request);

  postgres::Database& database_;
  vault_client::Vault& vault_;
};

}  // namespace terrane::ssh_key
