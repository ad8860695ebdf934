#include "shim/order.h"

#include "base/error.h"
#include "base/text.h"

namespace terrane::shim {
namespace {

json::object to_json(const http::Endpoint& api) {
  return {{"host", api.host},
          {"port", api.port},
          {"unix", api.unix_path.string()},
          {"tls", api.tls},
          {"ca_pem", api.ca_pem},
          {"certificate_pem", api.certificate_pem},
          {"key_pem", api.key_pem},
          {"tls_session", base64(api.tls_session)}};
}

std::uint16_t port_from(const json::object& object) {
  std::int64_t port = require_int(object, "port");
  if (port < 0 || port > 65535) throw Error(Code::invalid, "The member 'port' must be between 0 and 65535.");
  return static_cast<std::uint16_t>(port);
}

const json::object& require_object(const json::object& object, std::string_view key) {
  const json::object* member = find_object(object, key);
  if (!member) throw Error(Code::invalid, "The member '" + std::string(key) + "' must be an object.");
  return *member;
}

http::Endpoint api_from(const json::object& object) {
  http::Endpoint api;
  api.host = require_string(object, "host");
  api.port = port_from(object);
  api.unix_path = find_string(object, "unix").value_or("");
  api.tls = find_bool(object, "tls").value_or(true);
  api.ca_pem = require_string(object, "ca_pem");
  api.certificate_pem = require_string(object, "certificate_pem");
  api.key_pem = require_string(object, "key_pem");
  api.tls_session = from_base64(find_string(object, "tls_session").value_or("")).value_or("");
  return api;
}

}  // namespace

json::object to_json(const ShimOrder& order) {
  return {{"job", worker_protocol::to_json(order.job)},
          {"api", to_json(order.api)},
          {"platform",
           {{"unix", order.platform.unix_path.string()},
            {"ca_pem", order.platform.ca_pem},
            {"host", order.platform.host},
            {"port", order.platform.port}}},
          {"engine", order.engine.string()},
          {"engine_error", order.engine_error},
          {"providers", order.providers.string()},
          {"kept", order.kept.string()},
          {"kept_plan_sha256", order.kept_plan_sha256}};
}

ShimOrder order_from_json(const json::object& object) {
  ShimOrder order;
  order.job = worker_protocol::job_from_json(require_object(object, "job"));
  order.api = api_from(require_object(object, "api"));
  const json::object& platform = require_object(object, "platform");
  order.platform.unix_path = find_string(platform, "unix").value_or("");
  order.platform.host = find_string(platform, "host").value_or("");
  order.platform.port = port_from(platform);
  order.platform.ca_pem = find_string(platform, "ca_pem").value_or("");
  order.engine = require_string(object, "engine");
  order.engine_error = find_string(object, "engine_error").value_or("");
  order.providers = find_string(object, "providers").value_or("");
  order.kept = find_string(object, "kept").value_or("");
  order.kept_plan_sha256 = find_string(object, "kept_plan_sha256").value_or("");
  return order;
}

std::filesystem::path kept_record(const std::filesystem::path& kept, const std::string& run) {
  return kept / (run + ".json");
}

}  // namespace terrane::shim
