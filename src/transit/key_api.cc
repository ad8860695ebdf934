#include "base/error.h"
#include "transit/vault_impl.h"

namespace terrane::transit {
namespace {

constexpr std::string_view key_type = "aes256-gcm96";
constexpr std::string_view mount_type = "transit";

json::object key_object(const TransitKey& key) {
  json::object data;
  data["name"] = key.name;
  data["type"] = key_type;
  data["derived"] = false;
  data["deletion_allowed"] = key.deletion_allowed;
  data["min_available_version"] = 0;
  data["min_decryption_version"] = key.min_decryption_version;
  data["min_encryption_version"] = key.min_encryption_version;
  data["latest_version"] = key.latest;
  data["exportable"] = false;
  data["allow_plaintext_backup"] = false;
  data["supports_encryption"] = true;
  data["supports_decryption"] = true;
  data["supports_signing"] = false;
  data["supports_derivation"] = true;
  data["auto_rotate_period"] = 0;
  data["imported_key"] = false;
  json::object versions;
  for (const auto& [number, version] : key.versions) {
    if (number >= key.min_decryption_version && number <= key.latest)
      versions[std::to_string(number)] = version.created;
  }
  data["keys"] = std::move(versions);
  return data;
}

std::optional<int> version_member(const json::object& body, std::string_view name) {
  std::optional<std::int64_t> number = number_member(body, name);
  if (!number) return std::nullopt;
  if (*number < 0) throw Error(Code::invalid, std::string(name) + " cannot be negative");
  return static_cast<int>(std::min<std::int64_t>(*number, INT32_MAX));
}

}  // namespace

Task<http::Response> VaultServerImpl::list_keys(Call&) {
  json::object data;
  json::array& list = data["keys"].emplace_array();
  for (const std::string& name : co_await keys.names()) list.emplace_back(name);
  if (list.empty()) throw Error(Code::not_found, "");
  co_return reply_data(std::move(data), mount_type);
}

Task<http::Response> VaultServerImpl::create_key(Call& call) {
  std::string type = text_member(call.body, "type").value_or(std::string(key_type));
  if (type != key_type)
    throw Error(Code::invalid,
                "keys of type '" + type + "' are not supported; the only type is " + std::string(key_type));
  for (std::string_view name : {"derived", "convergent_encryption", "exportable", "allow_plaintext_backup",
                                "auto_rotate_period", "key_size", "managed_key_name", "managed_key_id"}) {
    refuse_member(call.body, name);
  }
  KeyStore::Created created = co_await keys.create(call.names[0]);
  std::vector<std::string> warnings;
  if (created.existed) warnings.push_back("key " + call.names[0] + " already existed");
  co_return reply_data(key_object(*created.key), mount_type, 200, std::move(warnings));
}

Task<http::Response> VaultServerImpl::read_key(Call& call) {
  KeyPointer key = co_await keys.find(call.names[0]);
  if (!key) throw Error(Code::not_found, "");
  co_return reply_data(key_object(*key), mount_type);
}

Task<http::Response> VaultServerImpl::delete_key(Call& call) {
  bool removed = co_await keys.remove(call.names[0]);
  if (!removed)
    throw Error(Code::invalid,
                "error deleting policy " + call.names[0] + ": could not delete key; not found");
  co_return reply_empty();
}

Task<http::Response> VaultServerImpl::rotate_key(Call& call) {
  KeyPointer key = co_await keys.rotate(call.names[0]);
  if (!key) throw Error(Code::invalid, "key not found");
  co_return reply_data(key_object(*key), mount_type);
}

Task<http::Response> VaultServerImpl::configure_key(Call& call) {
  for (std::string_view name : {"exportable", "allow_plaintext_backup", "auto_rotate_period"})
    refuse_member(call.body, name);
  KeyConfig config;
  config.min_decryption_version = version_member(call.body, "min_decryption_version");
  config.min_encryption_version = version_member(call.body, "min_encryption_version");
  config.deletion_allowed = flag_member(call.body, "deletion_allowed");
  KeyPointer key = co_await keys.configure(call.names[0], config);
  if (!key) throw Error(Code::invalid, "no existing key named " + call.names[0] + " could be found");
  co_return reply_data(key_object(*key), mount_type);
}

}  // namespace terrane::transit
