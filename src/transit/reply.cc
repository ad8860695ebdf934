#include "base/error.h"
#include "base/text.h"
#include "crypto/random.h"
#include "transit/vault_impl.h"

namespace terrane::transit {
namespace {

json::object envelope(std::string_view type) {
  json::object body;
  body["request_id"] = crypto::random_uuid();
  body["lease_id"] = "";
  body["renewable"] = false;
  body["lease_duration"] = 0;
  body["data"] = nullptr;
  body["wrap_info"] = nullptr;
  body["warnings"] = nullptr;
  body["auth"] = nullptr;
  body["mount_type"] = type;
  return body;
}

[[noreturn]] void wrong_type(std::string_view name, std::string_view wanted) {
  throw Error(Code::invalid, "error converting input for field \"" + std::string(name) + "\": expected " +
                                 std::string(wanted));
}

}  // namespace

http::Response reply_json(int status, const json::object& body) {
  http::Response response;
  response.status = status;
  response.headers.set("Content-Type", "application/json");
  response.headers.set("Cache-Control", "no-store");
  response.body = json::serialize(body);
  response.body += '\n';
  return response;
}

http::Response reply_errors(int status, std::vector<std::string> errors) {
  json::object body;
  json::array& list = body["errors"].emplace_array();
  for (std::string& error : errors) list.emplace_back(std::move(error));
  return reply_json(status, body);
}

http::Response reply_empty() {
  http::Response response;
  response.status = 204;
  response.headers.set("Cache-Control", "no-store");
  return response;
}

http::Response reply_data(json::object data, std::string_view type, int status,
                          std::vector<std::string> warnings) {
  json::object body = envelope(type);
  body["data"] = std::move(data);
  if (!warnings.empty()) {
    json::array& list = body["warnings"].emplace_array();
    for (std::string& warning : warnings) list.emplace_back(std::move(warning));
  }
  return reply_json(status, body);
}

http::Response reply_sys(json::object data) {
  json::object body = envelope("system");
  for (const json::key_value_pair& member : data) body[member.key()] = member.value();
  body["data"] = std::move(data);
  return reply_json(200, body);
}

http::Response reply_auth(json::object auth) {
  json::object body = envelope("token");
  body["auth"] = std::move(auth);
  return reply_json(200, body);
}

std::optional<std::int64_t> number_member(const json::object& body, std::string_view name) {
  const json::value* value = body.if_contains(name);
  if (!value || value->is_null()) return std::nullopt;
  std::optional<std::int64_t> number = find_int(body, name);
  if (!number && value->is_string()) number = parse_int(std::string_view(value->get_string()));
  if (!number) wrong_type(name, "a whole number");
  return number;
}

std::optional<bool> flag_member(const json::object& body, std::string_view name) {
  const json::value* value = body.if_contains(name);
  if (!value || value->is_null()) return std::nullopt;
  if (value->is_bool()) return value->get_bool();
  if (value->is_string() && value->get_string() == "true") return true;
  if (value->is_string() && value->get_string() == "false") return false;
  wrong_type(name, "a truth value");
}

std::optional<std::string> text_member(const json::object& body, std::string_view name) {
  const json::value* value = body.if_contains(name);
  if (!value || value->is_null()) return std::nullopt;
  if (!value->is_string()) wrong_type(name, "a string");
  return std::string(value->get_string());
}

void refuse_member(const json::object& body, std::string_view name) {
  const json::value* value = body.if_contains(name);
  if (!value || value->is_null()) return;
  if (value->is_bool() && !value->get_bool()) return;
  if (value->is_int64() && value->get_int64() == 0) return;
  if (value->is_string() &&
      (value->get_string().empty() || value->get_string() == "false" || value->get_string() == "0"))
    return;
  if (value->is_array() && value->get_array().empty()) return;
  throw Error(Code::invalid, "'" + std::string(name) + "' is not supported by this vault");
}

}  // namespace terrane::transit
