#include "api/api.h"
#include "app/roles.h"
#include "base/log.h"
#include "http/server.h"
#include "transit/postgres_storage.h"
#include "transit/vault_server.h"

namespace terrane::app {
namespace {

Task<int> vault(RoleConfig config, net::Executor executor, net::Stop& stop) {
  postgres::DatabaseOptions options = config.database("terrane vault");
  options.connections = 4;
  options.acquire_time = std::chrono::seconds(1);  // a held key is served soon though the storage is away
  postgres::Database database(executor, options);
  transit::PostgresStorage storage(database);
  transit::KeyMaterialOptions material;
  material.directory = config.text("key_material");
  transit::VaultServer vault(storage, material);
  co_await storage.migrate();
  co_await vault.open();
  http::Server server(executor, vault.handler(), api::error_response);
  server.listen_unix(config.text("socket"), 0660);
  log::info("ready");
  co_await vault.run(stop);
  co_await server.stop(std::chrono::seconds(5));
  co_return 0;
}

}  // namespace

int vault_main(const RoleConfig& config) {
  return net::run_role(
      [&](net::Executor executor, net::Stop& stop) { return vault(config, executor, stop); });
}

}  // namespace terrane::app
