#include "api/api.h"
#include "app/roles.h"
#include "app/roles/web_domains.h"
#include "base/log.h"
#include "http/server.h"
#include "installation/secrets.h"
#include "net/files.h"
#include "object/archivist_client.h"
#include "postgres/listener.h"
#include "redis/client.h"
#include "redis/subscriber.h"
#include "run/job_api.h"
#include "vault_client/vault_client.h"

namespace terrane::app {
namespace {

/// Counts requests of a principal in windows of a second. Redis away means no limit: it must not stop the
/// platform.
Task<std::optional<double>> limit_rate(redis::Client& redis, std::int64_t most, std::string key) {
  if (most <= 0) co_return std::nullopt;
  try {
    std::int64_t count = co_await redis.count("rate:" + key, std::chrono::seconds(1));
    if (count > most) co_return 1.0;
  } catch (const Error& error) {
    log::debug("no rate limit without Redis", {{"error", error.what()}});
  }
  co_return std::nullopt;
}

Task<int> web(RoleConfig config, net::Executor executor, net::Stop& stop) {
  // Adapters.
  postgres::Database database(executor, config.database("terrane web"));
  redis::Client redis(executor, config.redis());
  vault_client::VaultClient vault(executor, config.vault(), {.token = config.vault_token()});
  object::ArchivistClient archivist(executor, config.text("archivist_socket"));
  Secret token_key = co_await installation::load_or_create(database, vault, "token-hmac", 32);
  Secret url_key = co_await installation::load_or_create(database, vault, "url-signing", 32);
  co_await vault.ensure_key(run::blob_key);
  const object::UrlSigner urls(std::move(url_key));
  user::Tokens tokens(database, std::move(token_key));
  WebDomains domains({executor, database, redis, vault, archivist, urls, tokens}, config);
  api::Options options;
  options.requests_per_second = static_cast<int>(config.number("rate_limit"));
  auto authenticate = [&tokens](const std::string& token) { return tokens.authenticate(token); };
  auto no_principal = [](const std::string&) -> Task<std::optional<api::Principal>> {
    co_return std::nullopt;
  };
  auto rate = [&redis, most = config.number("rate_limit")](const std::string& key) {
    return limit_rate(redis, most, key);
  };
  auto no_rate = [](const std::string&) -> Task<std::optional<double>> { co_return std::nullopt; };
  http::Server server(executor, api::handler(domains.router, authenticate, rate, options),
                      api::error_response);
  http::Server job_server(executor, api::handler(domains.job_router, no_principal, no_rate, {}),
                          api::error_response);

  postgres::Listener listener(
      executor, config.text("database_url"), {"terrane_tokens"},
      [&](const std::string&, const std::string& token_id) { tokens.forget(token_id); });
  // The same news by Redis, for the time in which this web's own listening connection is away.
  redis::Subscriber subscriber(
      executor, config.redis(), {{revoked_tokens_channel}, {}},
      [&](const std::string&, const std::string& token_id) { tokens.forget(token_id); });
  co_await domains.jobs.fill_reserve();
  http::TlsServerOptions tls{net::read_file(config.text("certificate"), 1 << 20),
                             net::read_file(config.text("key"), 1 << 20), ""};
  server.listen(public_listener_fd, tls);
  http::TlsServerOptions job_tls{net::read_file(config.text("job_certificate"), 1 << 20),
                                 net::read_file(config.text("job_key"), 1 << 20),
                                 net::read_file(config.text("node_ca"), 1 << 20)};
  job_server.listen(job_listener_fd, job_tls);
  net::spawn(executor, "vault token", vault.keep_token(stop));
  log::info("ready");
  while (!co_await stop.wait_for(std::chrono::hours(1))) {
  }
  co_await server.stop(std::chrono::seconds(20));
  co_await job_server.stop(std::chrono::seconds(5));
  co_return 0;
}

}  // namespace

int web_main(const RoleConfig& config) {
  return net::run_role([&](net::Executor executor, net::Stop& stop) { return web(config, executor, stop); });
}

}  // namespace terrane::app
