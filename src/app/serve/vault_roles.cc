#include "app/serve/vault_roles.h"

#include "http/client.h"
#include "net/files.h"

namespace terrane::app {
namespace {

/// What each role may do with the transit keys: `terrane` seals application data, `archivist` wraps the data
/// keys of blobs.
json::object policy_of(const std::string& role) {
  auto may = [](std::initializer_list<std::string_view> capabilities) {
    json::array list;
    for (std::string_view capability : capabilities) list.push_back(json::value(capability));
    return json::object{{"capabilities", std::move(list)}};
  };
  json::object paths;
  paths["auth/token/renew-self"] = may({"update"});
  paths["transit/keys/terrane"] = may({"create", "update", "read"});
  paths["transit/encrypt/terrane"] = may({"create", "update"});
  paths["transit/decrypt/terrane"] = may({"create", "update"});
  if (role == "web" || role == "archivist") {
    paths["transit/keys/archivist"] = may({"create", "update", "read"});
    paths["transit/encrypt/archivist"] = may({"create", "update"});
    paths["transit/datakey/plaintext/archivist"] = may({"create", "update"});
  }
  if (role == "archivist") paths["transit/decrypt/archivist"] = may({"create", "update"});
  return {{"path", std::move(paths)}};
}

Task<json::value> call(http::Client& client, const Secret& token, http::Method method, std::string target,
                       json::object body) {
  http::ClientRequest request;
  request.method = method;
  request.target = std::move(target);
  request.headers.set("X-Vault-Token", token.reveal());
  request.headers.set("Content-Type", "application/json");
  request.body = json::serialize(body);
  std::string what = request.target;
  http::ClientResponse response = co_await client.send(std::move(request));
  std::string text = co_await response.text(1 << 20);
  if (response.status >= 300)
    throw Error(Code::unavailable,
                "The vault answered " + std::to_string(response.status) + " to " + what + ": " + text);
  if (text.empty()) co_return json::value();
  co_return parse_json(text);
}

}  // namespace

Task<Secret> make_vault_token(net::Executor executor, const Installation& installation, std::string role) {
  json::value unseal = parse_json(net::read_file(installation.layout.keys() / "unseal.json", 1 << 20));
  Secret root(require_string(unseal.as_object(), "root_token"));
  http::Endpoint endpoint;
  endpoint.host = "vault";
  endpoint.unix_path = installation.layout.vault_socket();
  http::Client client(executor, endpoint);
  json::object policy{{"policy", json::serialize(policy_of(role))}};
  co_await call(client, root, http::Method::put, "/v1/sys/policies/acl/" + role, policy);
  json::object wanted{{"policies", json::array{json::value(role)}},
                      {"period", "768h"},
                      {"display_name", role},
                      {"no_default_policy", true}};
  json::value answer = co_await call(client, root, http::Method::post, "/v1/auth/token/create", wanted);
  const json::object* auth = find_object(answer.as_object(), "auth");
  if (!auth) throw Error(Code::internal, "The vault made no token.");
  co_return Secret(require_string(*auth, "client_token"));
}

}  // namespace terrane::app
