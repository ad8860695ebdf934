#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "base/time.h"
#include "crypto/aead.h"
#include "transit/vault_impl.h"

namespace terrane::transit {
namespace {

/// An unseal key as hexadecimal digits or base64.
Secret unseal_key(const json::object& body) {
  std::optional<std::string> text = text_member(body, "key");
  if (!text || text->empty())
    throw Error(Code::invalid, "'key' must be specified in request body as JSON, or 'reset' set to true");
  std::optional<std::string> bytes = from_hex(*text);
  if (!bytes || bytes->size() != crypto::key_size) bytes = from_base64(*text);
  if (!bytes) throw Error(Code::invalid, "'key' must be a valid hex or base64 string");
  if (bytes->size() != crypto::key_size) throw Error(Code::invalid, "unseal failed, invalid key");
  return Secret(*std::move(bytes));
}

/// A status code that the query of a health check asks for.
int wanted_status(const http::Request& request, std::string_view name, int usual) {
  std::optional<std::string_view> text = request.query.find(name);
  if (!text) return usual;
  std::optional<std::int64_t> code = parse_int(*text);
  if (!code || *code < 200 || *code > 599)
    throw Error(Code::invalid, "Invalid status code for '" + std::string(name) + "'");
  return static_cast<int>(*code);
}

json::object seal_status_object(const VaultServerImpl& vault, bool initialized) {
  json::object body;
  body["type"] = "shamir";
  body["initialized"] = initialized;
  body["sealed"] = !vault.opened;
  body["t"] = initialized ? 1 : 0;
  body["n"] = initialized ? 1 : 0;
  body["progress"] = 0;
  body["nonce"] = "";
  body["version"] = api_version;
  body["build_date"] = "";
  body["migration"] = false;
  if (vault.opened) {
    body["cluster_name"] = "terrane";
    body["cluster_id"] = vault.barrier.keyring().cluster_id;
  }
  body["recovery_seal"] = false;
  body["storage_type"] = "terrane";
  return body;
}

json::object mount(std::string_view type, std::string_view description) {
  json::object config;
  config["default_lease_ttl"] = 0;
  config["max_lease_ttl"] = 0;
  config["force_no_cache"] = false;
  json::object one;
  one["type"] = type;
  one["description"] = description;
  one["accessor"] = std::string(type) + "_terrane";
  one["config"] = std::move(config);
  one["local"] = false;
  one["seal_wrap"] = false;
  one["external_entropy_access"] = false;
  one["options"] = nullptr;
  return one;
}

}  // namespace

Task<http::Response> VaultServerImpl::seal_status(Call&) {
  bool initialized = co_await barrier.initialized();
  co_return reply_json(200, seal_status_object(*this, initialized));
}

Task<http::Response> VaultServerImpl::health(Call& call) {
  bool initialized = co_await barrier.initialized();
  int status = 200;
  if (!initialized)
    status = wanted_status(call.request, "uninitcode", 501);
  else if (!opened)
    status = wanted_status(call.request, "sealedcode", 503);
  else
    status = wanted_status(call.request, "activecode", 200);
  json::object body;
  body["initialized"] = initialized;
  body["sealed"] = !opened;
  body["standby"] = false;
  body["performance_standby"] = false;
  body["replication_performance_mode"] = "disabled";
  body["replication_dr_mode"] = "disabled";
  body["server_time_utc"] =
      std::chrono::duration_cast<std::chrono::seconds>(now().time_since_epoch()).count();
  body["version"] = api_version;
  if (opened) {
    body["cluster_name"] = "terrane";
    body["cluster_id"] = barrier.keyring().cluster_id;
  }
  co_return reply_json(status, body);
}

Task<http::Response> VaultServerImpl::read_init(Call&) {
  json::object body;
  body["initialized"] = co_await barrier.initialized();
  co_return reply_json(200, body);
}

Task<http::Response> VaultServerImpl::write_init(Call& call) {
  if (number_member(call.body, "secret_shares").value_or(1) != 1 ||
      number_member(call.body, "secret_threshold").value_or(1) != 1) {
    throw Error(Code::invalid, "this vault has one unseal key: secret_shares and secret_threshold must be 1");
  }
  for (std::string_view name :
       {"pgp_keys", "root_token_pgp_key", "stored_shares", "recovery_shares", "recovery_threshold"}) {
    refuse_member(call.body, name);
  }
  bool initialized = co_await barrier.initialized();
  if (initialized) throw Error(Code::invalid, "Vault is already initialized");
  co_await material.prepare();
  UnsealFile file = co_await initialize();
  json::object body;
  body["keys"].emplace_array().emplace_back(hex(file.unseal_key.reveal()));
  body["keys_base64"].emplace_array().emplace_back(base64(file.unseal_key.reveal()));
  body["root_token"] = file.root_token.reveal();
  co_return reply_json(200, body);
}

Task<http::Response> VaultServerImpl::write_unseal(Call& call) {
  if (!flag_member(call.body, "reset").value_or(false)) {
    Secret key = unseal_key(call.body);
    bool initialized = co_await barrier.initialized();
    if (!initialized) throw Error(Code::invalid, "Vault is not initialized");
    co_await unseal(std::move(key));
  }
  co_return co_await seal_status(call);
}

Task<http::Response> VaultServerImpl::write_seal(Call&) {
  seal();
  log::warn("vault: sealed on request");
  co_return reply_empty();
}

Task<http::Response> VaultServerImpl::mounts(Call&) {
  json::object data;
  data["sys/"] = mount("system", "system endpoints used for control, policy and debugging");
  data["transit/"] = mount("transit", "encryption as a service");
  co_return reply_sys(std::move(data));
}

Task<http::Response> VaultServerImpl::rotate_keyring(Call&) {
  co_await keys.rotate_keyring();
  co_return reply_empty();
}

Task<http::Response> VaultServerImpl::key_status(Call&) {
  const Keyring& keyring = barrier.keyring();
  json::object data;
  data["term"] = keyring.active;
  data["install_time"] = iso8601(Time(std::chrono::seconds(keyring.terms.at(keyring.active).created)));
  co_return reply_sys(std::move(data));
}

Task<http::Response> VaultServerImpl::list_policies(Call&) {
  json::object data;
  json::array& list = data["keys"].emplace_array();
  for (const std::string& name : co_await policies.names()) list.emplace_back(name);
  co_return reply_sys(std::move(data));
}

Task<http::Response> VaultServerImpl::read_policy(Call& call) {
  PolicyPointer policy = co_await policies.find(lower(call.names[0]));
  if (!policy) throw Error(Code::not_found, "");
  json::object data;
  data["name"] = policy->name;
  data["policy"] = policy->text;
  co_return reply_sys(std::move(data));
}

Task<http::Response> VaultServerImpl::write_policy(Call& call) {
  std::optional<std::string> text = text_member(call.body, "policy");
  if (!text || trim(*text).empty()) throw Error(Code::invalid, "'policy' parameter not supplied or empty");
  // Vault's own tools may send the text in base64.
  if (!trim(*text).starts_with('{') && text->find_first_of("{\"#") == std::string::npos) {
    if (std::optional<std::string> decoded = from_base64(*text)) text = std::move(decoded);
  }
  co_await policies.put(lower(call.names[0]), *std::move(text));
  co_return reply_empty();
}

Task<http::Response> VaultServerImpl::delete_policy(Call& call) {
  co_await policies.remove(lower(call.names[0]));
  co_return reply_empty();
}

}  // namespace terrane::transit
