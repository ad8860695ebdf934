#include "base/error.h"
#include "base/text.h"
#include "crypto/random.h"
#include "transit/ciphertext.h"
#include "transit/vault_impl.h"

namespace terrane::transit {
namespace {

constexpr std::string_view mount_type = "transit";
constexpr std::size_t most_items = 10'000;

/// Decodes a member in base64. Throws Error{invalid} that names it; empty when it is absent.
std::string base64_member(const json::object& item, std::string_view name) {
  std::optional<std::string> text = text_member(item, name);
  if (!text) return {};
  std::optional<std::string> bytes = from_base64(*text);
  if (!bytes) throw Error(Code::invalid, "failed to base64-decode " + std::string(name));
  return *std::move(bytes);
}

/// Refuses what only derived or convergent keys take: ignoring it would seal under another key than the
/// caller means.
void refuse_derivation(const json::object& item) {
  if (!text_member(item, "context").value_or("").empty()) {
    throw Error(Code::invalid, "a context is not allowed: this key does not derive keys");
  }
  if (!text_member(item, "nonce").value_or("").empty())
    throw Error(Code::invalid, "provided nonce not allowed for this key");
}

/// The version that seals: the one asked for, within the key's bounds.
int sealing_version(const TransitKey& key, const json::object& item) {
  std::int64_t version = number_member(item, "key_version").value_or(0);
  if (version < 0) throw Error(Code::invalid, "requested version for encryption is negative");
  if (version == 0) return key.latest;
  if (version > key.latest) {
    throw Error(Code::invalid, "requested version for encryption is higher than the latest key version");
  }
  if (version < std::max(key.min_encryption_version, key.min_decryption_version)) {
    throw Error(Code::invalid,
                "requested version for encryption is less than the minimum encryption key version");
  }
  return static_cast<int>(version);
}

Ciphertext ciphertext_member(const json::object& item) {
  std::string text = text_member(item, "ciphertext").value_or("");
  if (text.empty()) throw Error(Code::invalid, "missing ciphertext to decrypt");
  Ciphertext parsed = parse_ciphertext(text);
  // Vault's first releases counted versions from zero.
  if (parsed.version == 0) parsed.version = 1;
  return parsed;
}

[[noreturn]] void throw_no_key() { throw Error(Code::invalid, "encryption key not found"); }

json::object sealed_object(std::string ciphertext, int version) {
  json::object result;
  result["ciphertext"] = std::move(ciphertext);
  result["key_version"] = version;
  return result;
}

}  // namespace

Task<http::Response> VaultServerImpl::encrypt_call(Call& call) {
  KeyPointer key = co_await keys.find(call.names[0]);
  // As in Vault, encrypting under a key that is not there makes it, which takes the right to create.
  require(call, key ? Capability::update : Capability::create);
  if (!key) {
    for (std::string_view name : {"derived", "convergent_encryption"}) refuse_member(call.body, name);
    refuse_derivation(call.body);
    key = (co_await keys.create(call.names[0])).key;
  }
  co_return co_await run_items(call, std::move(key), &VaultServerImpl::encrypt_item);
}

Task<http::Response> VaultServerImpl::decrypt_call(Call& call) {
  KeyPointer key = co_await keys.find(call.names[0]);
  if (!key) throw_no_key();
  co_return co_await run_items(call, std::move(key), &VaultServerImpl::decrypt_item);
}

Task<http::Response> VaultServerImpl::rewrap_call(Call& call) {
  KeyPointer key = co_await keys.find(call.names[0]);
  if (!key) throw_no_key();
  co_return co_await run_items(call, std::move(key), &VaultServerImpl::rewrap_item);
}

Task<http::Response> VaultServerImpl::run_items(Call& call, KeyPointer key, ItemVerb verb) {
  const json::value* batch = call.body.if_contains("batch_input");
  if (!batch || batch->is_null()) {
    json::object result = co_await (this->*verb)(std::move(key), call.body);
    co_return reply_data(std::move(result), mount_type);
  }
  const json::array* items = batch->if_array();
  if (!items) throw Error(Code::invalid, "failed to parse batch input: expected a list");
  if (items->empty()) throw Error(Code::invalid, "missing batch input to process");
  if (items->size() > most_items)
    throw Error(Code::invalid, "a batch may have at most " + std::to_string(most_items) + " items");
  json::object data;
  json::array& results = data["batch_results"].emplace_array();
  results.reserve(items->size());
  std::size_t failed = 0;
  for (const json::value& item : *items) {
    json::object result;
    try {
      if (!item.is_object()) throw Error(Code::invalid, "failed to parse batch input: expected an object");
      result = co_await (this->*verb)(key, item.get_object());
    } catch (const Error& error) {
      // Only what is wrong with the item itself is the item's; everything else fails the request.
      if (error.code() != Code::invalid) throw;
      result["error"] = error.detail();
      ++failed;
    }
    if (const json::object* object = item.if_object()) {
      std::optional<std::string> reference = find_string(*object, "reference");
      if (reference && !reference->empty()) result["reference"] = *reference;
    }
    results.emplace_back(std::move(result));
  }
  int status = failed == 0 ? 200 : 400;
  std::vector<std::string> warnings;
  std::optional<std::int64_t> wanted = number_member(call.body, "partial_failure_response_code");
  if (wanted && failed > 0 && failed < items->size()) {
    if (*wanted >= 200 && *wanted <= 599)
      status = static_cast<int>(*wanted);
    else
      warnings.push_back(
          "invalid HTTP response code override from partial_failure_response_code, reverting to 400");
  }
  co_return reply_data(std::move(data), mount_type, status, std::move(warnings));
}

Task<json::object> VaultServerImpl::encrypt_item(KeyPointer key, const json::object& item) {
  if (!text_member(item, "plaintext")) throw Error(Code::invalid, "missing plaintext to encrypt");
  refuse_derivation(item);
  Secret plaintext(base64_member(item, "plaintext"));
  std::string associated = base64_member(item, "associated_data");
  int version = sealing_version(*key, item);
  co_await keys.require_copied(key, version);
  co_return sealed_object(encrypt(*key, version, plaintext.reveal(), associated), version);
}

Task<json::object> VaultServerImpl::decrypt_item(KeyPointer key, const json::object& item) {
  refuse_derivation(item);
  Ciphertext ciphertext = ciphertext_member(item);
  std::string associated = base64_member(item, "associated_data");
  key = co_await keys.find_version(key->name, ciphertext.version);
  if (!key) throw_no_key();
  Secret plaintext = decrypt(*key, ciphertext, associated);
  json::object result;
  result["plaintext"] = base64(plaintext.reveal());
  co_return result;
}

Task<json::object> VaultServerImpl::rewrap_item(KeyPointer key, const json::object& item) {
  refuse_derivation(item);
  Ciphertext ciphertext = ciphertext_member(item);
  std::string associated = base64_member(item, "associated_data");
  key = co_await keys.find_version(key->name, ciphertext.version);
  if (!key) throw_no_key();
  Secret plaintext = decrypt(*key, ciphertext, associated);
  int version = sealing_version(*key, item);
  co_await keys.require_copied(key, version);
  co_return sealed_object(encrypt(*key, version, plaintext.reveal(), associated), version);
}

Task<http::Response> VaultServerImpl::datakey_call(Call& call) {
  const std::string& kind = call.names[0];
  if (kind != "plaintext" && kind != "wrapped")
    throw Error(Code::invalid, "Invalid path, must be 'plaintext' or 'wrapped'");
  refuse_derivation(call.body);
  std::int64_t bits = number_member(call.body, "bits").value_or(256);
  if (bits != 128 && bits != 256 && bits != 512) throw Error(Code::invalid, "invalid bit length");
  KeyPointer key = co_await keys.find(call.names[1]);
  if (!key) throw_no_key();
  int version = key->latest;
  co_await keys.require_copied(key, version);
  Secret data_key = crypto::random_key(static_cast<std::size_t>(bits / 8));
  json::object result = sealed_object(encrypt(*key, version, data_key.reveal(), ""), version);
  if (kind == "plaintext") result["plaintext"] = base64(data_key.reveal());
  co_return reply_data(std::move(result), mount_type);
}

}  // namespace terrane::transit
