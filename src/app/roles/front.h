#pragma once
#include "api/api.h"
#include "http/router.h"
#include "object/archivist_client.h"
#include "object/object.h"
#include "postgres/database.h"
#include "redis/client.h"
#include "vault_client/vault.h"

namespace terrane::app {

/// The endpoints that belong to no domain: discovery, ping, health, signed URLs. It must outlive the routers.
class Front {
 public:
  struct Needs {
    postgres::Database& database;
    redis::Client& redis;
    vault_client::Vault& vault;
    object::ArchivistClient& archivist;
    const object::UrlSigner& urls;
  };
  explicit Front(Needs needs) : needs_(needs) {}

  void add_public_routes(http::Router& router);
  /// Signed URLs; workers use the same on their listener.
  void add_blob_routes(http::Router& router);

 private:
  Task<http::Response> discovery(http::Request& request);
  Task<http::Response> ping(http::Request& request);
  Task<http::Response> blob(http::Request& request);
  Task<http::Response> health(http::Request& request);

  Needs needs_;
};

}  // namespace terrane::app
