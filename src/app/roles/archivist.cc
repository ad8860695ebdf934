#include "archivist/archivist.h"

#include "api/api.h"
#include "app/roles.h"
#include "base/log.h"
#include "blob/directory_store.h"
#include "http/server.h"
#include "installation/secrets.h"
#include "redis/subscriber.h"
#include "vault_client/vault_client.h"

namespace terrane::app {
namespace {

Task<int> archivist(RoleConfig config, net::Executor executor, net::Stop& stop) {
  postgres::Database database(executor, config.database("terrane archivist"));
  redis::Client redis(executor, config.redis());
  vault_client::VaultClientOptions vault_options;
  vault_options.token = config.vault_token();
  vault_client::VaultClient vault(executor, config.vault(), std::move(vault_options));
  blob::DirectoryStore store(executor, config.text("blobs"), {});
  Secret url_key = co_await installation::load_or_create(database, vault, "url-signing", 32);
  const object::UrlSigner urls(std::move(url_key));

  archivist::Archivist archivist({executor, database, vault, store, &redis, urls});
  http::Router router;
  archivist.add_routes(router);
  auto ping = [](http::Request&) -> Task<http::Response> { co_return api::no_content(); };
  router.add({http::Method::get, "/internal/v1/ping", ping, 0, false});
  http::Server server(executor, archivist::handler(router), api::error_response);
  redis::Subscriber subscriber(executor, config.redis(), {{}, {archivist::Archivist::channels}},
                               [&](const std::string& channel, const std::string& payload) {
                                 archivist.on_message(channel, payload);
                               });
  server.listen_unix(config.text("archivist_socket"), 0600);
  net::spawn(executor, "vault token", vault.keep_token(stop));
  log::info("ready");
  co_await archivist.run_sweeper(stop);
  co_await server.stop(std::chrono::seconds(20));
  co_return 0;
}

}  // namespace

int archivist_main(const RoleConfig& config) {
  return net::run_role(
      [&](net::Executor executor, net::Stop& stop) { return archivist(config, executor, stop); });
}

}  // namespace terrane::app
