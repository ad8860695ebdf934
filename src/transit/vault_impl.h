#pragma once
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/task.h"
#include "http/message.h"
#include "transit/barrier.h"
#include "transit/key_material.h"
#include "transit/key_store.h"
#include "transit/policy_store.h"
#include "transit/token_store.h"

namespace terrane::transit {

/// What a request wants of a path; POST and PUT are both `update`.
enum class Operation { read, update, list, erase };

/// A request on its way: what came in, and what is known of its sender.
struct Call {
  http::Request& request;
  Operation operation = Operation::read;
  std::string path;                ///< without /v1/
  std::vector<std::string> names;  ///< the `:name` parts of the route
  json::object body;
  TokenPointer token;
  std::vector<PolicyPointer> policies;
};

/// The inside of VaultServer; its verbs are spread over *_api.cc by part of the API.
struct VaultServerImpl {
  using Verb = Task<http::Response> (VaultServerImpl::*)(Call&);
  struct Route {
    Operation operation;
    std::string_view pattern;
    Verb verb;
    bool sudo = false;
    bool upserts = false;  ///< decides about `create` or `update` itself
  };

  VaultServerImpl(Storage& storage, KeyMaterialOptions options);

  Task<http::Response> handle(http::Request& request);
  Task<http::Response> answer(http::Request& request);
  Task<> authenticate(Call& call);
  bool may(const Call& call, std::string_view path, Capability capability) const;
  void require(const Call& call, Capability capability) const;

  // Life: vault_server.cc.
  Task<> open();
  Task<UnsealFile> initialize();
  Task<> unseal(Secret key);
  void seal() noexcept;

  // sys_api.cc
  Task<http::Response> seal_status(Call& call);
  Task<http::Response> health(Call& call);
  Task<http::Response> read_init(Call& call);
  Task<http::Response> write_init(Call& call);
  Task<http::Response> write_unseal(Call& call);
  Task<http::Response> write_seal(Call& call);
  Task<http::Response> mounts(Call& call);
  Task<http::Response> rotate_keyring(Call& call);
  Task<http::Response> key_status(Call& call);
  Task<http::Response> list_policies(Call& call);
  Task<http::Response> read_policy(Call& call);
  Task<http::Response> write_policy(Call& call);
  Task<http::Response> delete_policy(Call& call);

  // token_api.cc
  Task<http::Response> create_token(Call& call);
  Task<http::Response> create_orphan(Call& call);
  Task<http::Response> issue_token(Call& call, bool orphan);
  Task<http::Response> lookup_self(Call& call);
  Task<http::Response> renew_self(Call& call);
  Task<http::Response> revoke_self(Call& call);

  // key_api.cc
  Task<http::Response> list_keys(Call& call);
  Task<http::Response> create_key(Call& call);
  Task<http::Response> read_key(Call& call);
  Task<http::Response> delete_key(Call& call);
  Task<http::Response> rotate_key(Call& call);
  Task<http::Response> configure_key(Call& call);

  // crypt_api.cc
  using ItemVerb = Task<json::object> (VaultServerImpl::*)(KeyPointer key, const json::object& item);
  Task<http::Response> encrypt_call(Call& call);
  Task<http::Response> decrypt_call(Call& call);
  Task<http::Response> rewrap_call(Call& call);
  Task<http::Response> datakey_call(Call& call);
  Task<http::Response> run_items(Call& call, KeyPointer key, ItemVerb verb);
  Task<json::object> encrypt_item(KeyPointer key, const json::object& item);
  Task<json::object> decrypt_item(KeyPointer key, const json::object& item);
  Task<json::object> rewrap_item(KeyPointer key, const json::object& item);

  Barrier barrier;
  KeyMaterial material;
  KeyStore keys;
  TokenStore tokens;
  PolicyStore policies;
  bool opened = false;
  bool unsealing = false;
};

/// The routes that need a token, and those that do not.
const std::vector<VaultServerImpl::Route>& routes();
const std::vector<VaultServerImpl::Route>& public_routes();

/// Vault's version of the API that is spoken, as health and seal status show it.
constexpr std::string_view api_version = "1.15.0+terrane";

// Answers in Vault's forms.
http::Response reply_json(int status, const json::object& body);
http::Response reply_errors(int status, std::vector<std::string> errors);
http::Response reply_empty();
/// `data` in the common envelope; `type` is the kind of the mount that answers.
http::Response reply_data(json::object data, std::string_view type, int status = 200,
                          std::vector<std::string> warnings = {});
/// The same for sys paths, which show their data at the top level as well.
http::Response reply_sys(json::object data);
http::Response reply_auth(json::object auth);

/// A member of the body as Vault takes it: a number or its text, a truth value or its text. Throws
/// Error{invalid} that names the member when it is something else; nothing when it is absent or null.
std::optional<std::int64_t> number_member(const json::object& body, std::string_view name);
std::optional<bool> flag_member(const json::object& body, std::string_view name);
std::optional<std::string> text_member(const json::object& body, std::string_view name);
/// Refuses a member that asks for something which this vault does not do: anything but absent, null, false,
/// 0, "" or [].
void refuse_member(const json::object& body, std::string_view name);

}  // namespace terrane::transit
