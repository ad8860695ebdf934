#include "vault_client/vault_client.h"

#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "crypto/random.h"

namespace terrane::vault_client {
namespace {

constexpr std::size_t data_key_size = 32;
// Items of one request; a longer list goes in several.
constexpr std::size_t batch_size = 500;
constexpr std::size_t most_data_keys = 100'000;

struct Answer {
  int status = 0;
  json::object body;
};

/// The texts of `errors` in one line, for logs.
std::string errors_of(const json::object& body) {
  std::string text;
  if (const json::array* errors = find_array(body, "errors")) {
    for (const json::value& error : *errors) {
      if (!error.is_string()) continue;
      if (!text.empty()) text += "; ";
      text += std::string_view(error.get_string());
    }
  }
  return text.substr(0, 500);
}

json::object parse_body(const std::string& text) {
  if (trim(text).empty()) return {};
  try {
    json::value value = parse_json(text);
    if (value.is_object()) return std::move(value.get_object());
  } catch (const Error&) {
    // A proxy in between may answer with anything; then the status alone speaks.
  }
  return {};
}

/// A failed answer as an Error; `what` says which request it was.
[[noreturn]] void throw_failure(const Answer& answer, const std::string& what) {
  std::string errors = errors_of(answer.body);
  std::string context =
      what + ": vault answered " + std::to_string(answer.status) + (errors.empty() ? "" : ": " + errors);
  // HashiCorp Vault has answered 500 to a ciphertext that does not open.
  bool damaged = errors.find("message authentication failed") != std::string::npos;
  if (answer.status == 503 && errors.find("sealed") != std::string::npos) {
    throw Error(Code::unavailable, "Vault is sealed; try again when it has been unsealed.")
        .add_context(context);
  }
  if (answer.status == 403) throw Error(Code::unavailable, "Vault refused the request.").add_context(context);
  if (!damaged && (answer.status >= 500 || answer.status == 429 || answer.status == 412)) {
    throw Error(Code::unavailable, "Vault cannot answer now; try again.").add_context(context);
  }
  throw Error(Code::internal, "Vault could not do what was asked.").add_context(context);
}

[[noreturn]] void throw_misshapen(const std::string& what) {
  throw Error(Code::internal, "Vault answered in a form that is not understood.").add_context(what);
}

const json::object& data_of(const Answer& answer, const std::string& what) {
  if (answer.status != 200) throw_failure(answer, what);
  const json::object* data = find_object(answer.body, "data");
  if (!data) throw_misshapen(what);
  return *data;
}

std::string ciphertext_of(const json::object& result, const std::string& what) {
  std::optional<std::string> text = find_string(result, "ciphertext");
  if (!text || text->empty()) throw_misshapen(what);
  return *std::move(text);
}

Secret plaintext_of(const json::object& result, const std::string& what) {
  std::optional<std::string> text = find_string(result, "plaintext");
  std::optional<std::string> bytes = text ? from_base64(*text) : std::nullopt;
  if (text) wipe(*text);
  if (!bytes) throw_misshapen(what);
  return Secret(*std::move(bytes));
}

json::object plain_item(const Secret& plaintext, const std::string& associated) {
  json::object item;
  item["plaintext"] = base64(plaintext.reveal());
  if (!associated.empty()) item["associated_data"] = base64(associated);
  return item;
}

json::object cipher_item(const std::string& ciphertext, const std::string& associated) {
  json::object item;
  item["ciphertext"] = ciphertext;
  if (!associated.empty()) item["associated_data"] = base64(associated);
  return item;
}

/// The key's name goes into a path: only what needs no escape there.
void check_name(const std::string& key) {
  bool good = !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  });
  if (!good) throw Error(Code::internal, "A transit key's name is not a plain word.");
}

}  // namespace

struct VaultClient::Impl {
  Impl(net::Executor executor, http::Endpoint endpoint, VaultClientOptions given)
      : options(std::move(given)),
        client(std::move(executor), std::move(endpoint), client_options(options)) {}

  static http::ClientOptions client_options(const VaultClientOptions& options) {
    http::ClientOptions result;
    result.connect_time = options.connect_time;
    result.header_time = options.answer_time;
    result.body_idle = options.answer_time;
    result.connections = options.connections;
    return result;
  }

  Task<Answer> send(http::Method method, const std::string& path, const json::object* body,
                    const Secret* token) {
    http::ClientRequest request;
    request.method = method;
    request.target = "/v1/" + path;
    request.headers.add("X-Vault-Request", "true");
    if (token) request.headers.add("X-Vault-Token", token->reveal());
    if (!options.namespace_name.empty()) request.headers.add("X-Vault-Namespace", options.namespace_name);
    if (body) {
      request.headers.add("Content-Type", "application/json");
      request.body = json::serialize(*body);
    }
    http::ClientResponse response = co_await client.send(std::move(request));
    std::string text = co_await response.text();
    Answer answer{response.status, parse_body(text)};
    wipe(text);
    co_return answer;
  }

  /// Sends with a token; after a 403 once more if the source has another by now.
  Task<Answer> call(http::Method method, std::string path, json::object body) {
    Secret token = options.token;
    if (options.token_source) token = co_await options.token_source();
    Answer answer = co_await send(method, path, &body, &token);
    if (answer.status != 403 || !options.token_source) co_return answer;
    Secret other = co_await options.token_source();
    if (other.reveal() == token.reveal()) co_return answer;
    co_return co_await send(method, path, &body, &other);
  }

  std::string path(std::string_view verb, const std::string& key) const {
    check_name(key);
    return options.transit_mount + "/" + std::string(verb) + "/" + key;
  }

  /// Sends one batch and returns its results, one per item. An item that failed fails the whole.
  Task<json::array> call_batch(std::string target, json::array items) {
    std::size_t count = items.size();
    json::object body;
    body["batch_input"] = std::move(items);
    Answer answer = co_await call(http::Method::post, target, std::move(body));
    json::object* data = answer.body.contains("data") ? answer.body.at("data").if_object() : nullptr;
    json::array* results =
        data && data->contains("batch_results") ? data->at("batch_results").if_array() : nullptr;
    if (answer.status != 200 && !results) throw_failure(answer, target);
    if (!results || results->size() != count) throw_misshapen(target);
    for (std::size_t i = 0; i < count; ++i) {
      const json::object* result = (*results)[i].if_object();
      if (!result) throw_misshapen(target);
      std::string problem = find_string(*result, "error").value_or("");
      if (problem.empty()) continue;
      throw Error(Code::internal, "Vault could not do what was asked.")
          .add_context(target + ": item " + std::to_string(i) + ": " + problem);
    }
    if (answer.status != 200) throw_failure(answer, target);
    co_return std::move(*results);
  }

  VaultClientOptions options;
  http::Client client;
};

VaultClient::VaultClient(net::Executor executor, http::Endpoint endpoint, VaultClientOptions options)
    : impl_(std::make_unique<Impl>(std::move(executor), std::move(endpoint), std::move(options))) {}
VaultClient::~VaultClient() = default;

Task<std::string> VaultClient::encrypt(std::string key, Secret plaintext, std::string associated) {
  std::string target = impl_->path("encrypt", key);
  Answer answer = co_await impl_->call(http::Method::post, target, plain_item(plaintext, associated));
  co_return ciphertext_of(data_of(answer, target), target);
}

Task<Secret> VaultClient::decrypt(std::string key, std::string ciphertext, std::string associated) {
  std::string target = impl_->path("decrypt", key);
  Answer answer = co_await impl_->call(http::Method::post, target, cipher_item(ciphertext, associated));
  co_return plaintext_of(data_of(answer, target), target);
}

Task<std::vector<std::string>> VaultClient::encrypt_all(std::string key, std::vector<Plain> items) {
  std::string target = impl_->path("encrypt", key);
  std::vector<std::string> ciphertexts;
  ciphertexts.reserve(items.size());
  for (std::size_t start = 0; start < items.size(); start += batch_size) {
    json::array batch;
    for (std::size_t i = start; i < std::min(items.size(), start + batch_size); ++i) {
      batch.emplace_back(plain_item(items[i].plaintext, items[i].associated));
    }
    json::array results = co_await impl_->call_batch(target, std::move(batch));
    for (const json::value& result : results)
      ciphertexts.push_back(ciphertext_of(result.get_object(), target));
  }
  co_return ciphertexts;
}

Task<std::vector<Secret>> VaultClient::decrypt_all(std::string key, std::vector<Cipher> items) {
  std::string target = impl_->path("decrypt", key);
  std::vector<Secret> plaintexts;
  plaintexts.reserve(items.size());
  for (std::size_t start = 0; start < items.size(); start += batch_size) {
    json::array batch;
    for (std::size_t i = start; i < std::min(items.size(), start + batch_size); ++i) {
      batch.emplace_back(cipher_item(items[i].ciphertext, items[i].associated));
    }
    json::array results = co_await impl_->call_batch(target, std::move(batch));
    for (const json::value& result : results) plaintexts.push_back(plaintext_of(result.get_object(), target));
  }
  co_return plaintexts;
}

Task<sealed::DataKey> VaultClient::data_key(std::string key) {
  std::string target = impl_->path("datakey/plaintext", key);
  Answer answer = co_await impl_->call(http::Method::post, target, {});
  const json::object& data = data_of(answer, target);
  sealed::DataKey result{plaintext_of(data, target), ciphertext_of(data, target)};
  if (result.plaintext.reveal().size() != data_key_size) throw_misshapen(target);
  co_return result;
}

Task<std::vector<sealed::DataKey>> VaultClient::data_keys(std::string key, std::size_t count) {
  if (count > most_data_keys) throw Error(Code::internal, "Too many data keys at once.");
  // The API makes one data key a request; random keys of our own, encrypted in one batch, are the same in one
  // round trip.
  std::vector<Plain> fresh(count);
  for (Plain& item : fresh) item.plaintext = crypto::random_key(data_key_size);
  std::vector<std::string> wrapped = co_await encrypt_all(std::move(key), fresh);
  std::vector<sealed::DataKey> keys(count);
  for (std::size_t i = 0; i < count; ++i) {
    keys[i].plaintext = std::move(fresh[i].plaintext);
    keys[i].wrapped = std::move(wrapped[i]);
  }
  co_return keys;
}

Task<> VaultClient::ensure_key(std::string key) {
  std::string target = impl_->path("keys", key);
  json::object body;
  body["type"] = "aes256-gcm96";
  Answer answer = co_await impl_->call(http::Method::post, target, std::move(body));
  if (answer.status != 200 && answer.status != 204) throw_failure(answer, target);
}

Task<Health> VaultClient::health() {
  Answer answer = co_await impl_->send(http::Method::get, "sys/health", nullptr, nullptr);
  std::optional<bool> initialized = find_bool(answer.body, "initialized");
  std::optional<bool> sealed = find_bool(answer.body, "sealed");
  if (!initialized || !sealed) throw_failure(answer, "sys/health");
  Health health;
  health.initialized = *initialized;
  health.sealed = *sealed;
  health.standby = find_bool(answer.body, "standby").value_or(false);
  health.version = find_string(answer.body, "version").value_or("");
  co_return health;
}

Task<> VaultClient::keep_token(net::Stop& stop) {
  net::Clock::duration pause = std::chrono::hours(24);
  while (!co_await stop.wait_for(pause)) {
    pause = std::chrono::minutes(1);
    try {
      Answer answer = co_await impl_->call(http::Method::post, "auth/token/renew-self", {});
      if (answer.status == 200)
        pause = std::chrono::hours(24);
      else
        log::warn("the vault token was not renewed", {{"status", answer.status}});
    } catch (const Error& error) {
      log::warn("the vault token was not renewed", {{"error", error.what()}});
    }
  }
}

}  // namespace terrane::vault_client
