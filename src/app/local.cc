#include "app/local.h"

#include "installation/secrets.h"
#include "net/files.h"

namespace terrane::app {

Local::Local(net::Executor executor, std::filesystem::path data)
    : executor_(executor), layout_{std::move(data)} {
  if (!std::filesystem::exists(layout_.generated())) {
    throw Error(Code::unavailable, "There is no installation in " + layout_.data.string() +
                                       ". Name its data directory by --data.");
  }
  generated_ = parse_json(net::read_file(layout_.generated(), 1 << 20)).as_object();
  postgres::DatabaseOptions options;
  options.url = "host=" + (layout_.postgres() / "sock").string() +
                " port=" + std::to_string(require_int(generated_, "postgres_port")) +
                " user=terrane dbname=terrane";
  options.application = "terrane admin";
  options.connections = 1;
  database_ = std::make_unique<postgres::Database>(executor, options);
}

Task<user::Tokens> Local::tokens() {
  json::value unseal = parse_json(net::read_file(layout_.keys() / "unseal.json", 1 << 20));
  vault_client::VaultClientOptions options;
  options.token = Secret(require_string(unseal.as_object(), "root_token"));
  http::Endpoint endpoint;
  endpoint.host = "vault";
  endpoint.unix_path = layout_.vault_socket();
  vault_client::VaultClient vault(executor_, endpoint, options);
  Secret key = co_await installation::load_or_create(*database_, vault, "token-hmac", 32);
  co_return user::Tokens(*database_, std::move(key));
}

}  // namespace terrane::app
