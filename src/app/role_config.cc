#include "app/role_config.h"

#include "base/error.h"
#include "net/files.h"
#include "outbox/outbox.h"

namespace terrane::app {

RoleConfig RoleConfig::read(const std::filesystem::path& path) {
  json::value value = parse_json(net::read_file(path, 1024 * 1024));
  if (!value.is_object()) throw Error(Code::invalid, path.string() + " must hold a JSON object.");
  return RoleConfig(value.get_object());
}

std::optional<std::chrono::milliseconds> RoleConfig::look_interval() const {
  std::int64_t milliseconds = number("look_interval_ms");
  if (milliseconds == 0) return std::nullopt;
  return std::chrono::milliseconds(milliseconds);
}

postgres::DatabaseOptions RoleConfig::database(std::string application) const {
  postgres::DatabaseOptions options;
  options.url = text("database_url");
  options.application = std::move(application);
  return options;
}

amqp::Options RoleConfig::amqp() const {
  amqp::Options options;
  options.port = static_cast<std::uint16_t>(number("amqp_port"));
  options.user = text("amqp_user");
  options.password = Secret(text("amqp_password"));
  options.vhost = text("amqp_vhost");
  options.passing_prefix = outbox::node_queue_prefix;
  return options;
}

redis::Options RoleConfig::redis() const {
  redis::Options options;
  options.unix_path = text("redis_socket");
  return options;
}

http::Endpoint RoleConfig::vault() const {
  http::Endpoint endpoint;
  endpoint.host = "vault";
  endpoint.unix_path = text("vault_socket");
  return endpoint;
}

}  // namespace terrane::app
