#include "app/roles.h"
#include "base/log.h"
#include "services/state_parser.h"
#include "vault_client/vault_client.h"

namespace terrane::app {
namespace {

Task<int> services(RoleConfig config, net::Executor executor, net::Stop& stop) {
  postgres::Database database(executor, config.database("terrane services"));
  vault_client::VaultClientOptions vault_options;
  vault_options.token = config.vault_token();
  vault_client::VaultClient vault(executor, config.vault(), std::move(vault_options));
  object::ArchivistClient archivist(executor, config.text("archivist_socket"));
  services::StateParser::Needs needs{executor, database, vault, archivist, config.amqp()};
  needs.look_interval = config.look_interval();
  services::StateParser parser(std::move(needs));
  net::spawn(executor, "vault token", vault.keep_token(stop));
  log::info("ready");
  co_await parser.run(stop);
  co_return 0;
}

}  // namespace

int services_main(const RoleConfig& config) {
  return net::run_role(
      [&](net::Executor executor, net::Stop& stop) { return services(config, executor, stop); });
}

}  // namespace terrane::app
