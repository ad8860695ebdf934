#include "transit/vault_server.h"

#include <cctype>

#include <boost/system/system_error.hpp>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "crypto/aead.h"
#include "crypto/random.h"
#include "transit/vault_impl.h"

namespace terrane::transit {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t body_limit = 8 * 1024 * 1024;
constexpr std::size_t body_depth = 32;
constexpr std::size_t longest_name = 128;
constexpr auto sweep_interval = 1h;

/// A name as Vault's paths allow it: letters, digits, `_`, and inside also `-` and `.`.
bool is_name(std::string_view text) {
  auto is_word = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; };
  if (text.empty() || text.size() > longest_name || !is_word(text.front()) || !is_word(text.back()))
    return false;
  return std::all_of(text.begin(), text.end(), [&](char c) { return is_word(c) || c == '-' || c == '.'; });
}

/// The `:name` parts when the path fits the pattern.
std::optional<std::vector<std::string>> fit(std::string_view pattern, std::string_view path) {
  std::vector<std::string_view> wanted = split(pattern, '/');
  std::vector<std::string_view> given = split(path, '/');
  if (wanted.size() != given.size()) return std::nullopt;
  std::vector<std::string> names;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i].starts_with(':')) {
      if (!is_name(given[i])) return std::nullopt;
      names.emplace_back(given[i]);
    } else if (wanted[i] != given[i]) {
      return std::nullopt;
    }
  }
  return names;
}

struct Match {
  const VaultServerImpl::Route* route = nullptr;
  bool path_known = false;
};

/// The route of the call, whose names it fills.
Match match(const std::vector<VaultServerImpl::Route>& table, Call& call) {
  Match result;
  for (const VaultServerImpl::Route& route : table) {
    std::optional<std::vector<std::string>> names = fit(route.pattern, call.path);
    if (!names) continue;
    result.path_known = true;
    if (route.operation != call.operation) continue;
    call.names = *std::move(names);
    result.route = &route;
    break;
  }
  return result;
}

std::optional<Operation> operation_of(const http::Request& request) {
  switch (request.method) {
    case http::Method::get:
    case http::Method::head: return request.query.find("list") == "true" ? Operation::list : Operation::read;
    case http::Method::post:
    case http::Method::put: return Operation::update;
    case http::Method::del: return Operation::erase;
    default: return std::nullopt;
  }
}

Capability capability_of(Operation operation) {
  switch (operation) {
    case Operation::read: return Capability::read;
    case Operation::update: return Capability::update;
    case Operation::list: return Capability::list;
    case Operation::erase: return Capability::del;
  }
  return Capability::deny;
}

Secret token_of(const http::Request& request) {
  if (std::optional<std::string_view> token = request.headers.find("X-Vault-Token"))
    return Secret(std::string(trim(*token)));
  std::optional<std::string_view> authorization = request.headers.find("Authorization");
  constexpr std::string_view scheme = "bearer ";
  if (authorization && lower(authorization->substr(0, scheme.size())) == scheme) {
    return Secret(std::string(trim(authorization->substr(scheme.size()))));
  }
  return {};
}

void refuse_headers(const http::Request& request) {
  std::optional<std::string_view> space = request.headers.find("X-Vault-Namespace");
  if (space && !trim(*space).empty()) throw Error(Code::invalid, "namespaces are not supported");
  std::optional<std::string_view> wrap = request.headers.find("X-Vault-Wrap-TTL");
  if (wrap && !trim(*wrap).empty()) throw Error(Code::invalid, "response wrapping is not supported");
}

http::Response reply_error(const Error& error) {
  switch (error.code()) {
    case Code::not_found:
      return reply_errors(404,
                          error.detail().empty() ? std::vector<std::string>{} : std::vector{error.detail()});
    case Code::invalid:
    case Code::unprocessable: return reply_errors(400, {error.detail()});
    case Code::unauthorized:
    case Code::forbidden: return reply_errors(403, {error.detail()});
    case Code::too_large: return reply_errors(413, {error.detail()});
    case Code::conflict:  // the storage had too many writers of one row
    case Code::unavailable: return reply_errors(503, {error.detail()});
    default: break;
  }
  log::error("vault: a request failed", {{"error", error.what()}});
  return reply_errors(500, {"internal error"});
}

Task<json::object> read_object(http::Request& request) {
  std::string text = co_await http::read_body(request, body_limit);
  if (trim(text).empty()) co_return json::object{};
  json::value value;
  try {
    value = parse_json(text, body_depth);
  } catch (const Error& error) {
    wipe(text);
    throw Error(Code::invalid, "failed to parse JSON input: " + error.detail());
  }
  wipe(text);
  if (!value.is_object()) throw Error(Code::invalid, "failed to parse JSON input: the body is not an object");
  co_return std::move(value.get_object());
}

}  // namespace

VaultServerImpl::VaultServerImpl(Storage& storage, KeyMaterialOptions options)
    : barrier(storage),
      material(std::move(options)),
      keys(barrier, material),
      tokens(barrier),
      policies(barrier) {}

Task<http::Response> VaultServerImpl::handle(http::Request& request) {
  try {
    co_return co_await answer(request);
  } catch (const Error& error) {
    co_return reply_error(error);
  } catch (const boost::system::system_error&) {
    throw;  // the connection was cut or the server stops
  } catch (const std::exception& error) {
    log::error("vault: a request failed", {{"error", error.what()}});
    co_return reply_errors(500, {"internal error"});
  }
}

Task<http::Response> VaultServerImpl::answer(http::Request& request) {
  constexpr std::string_view root = "/v1/";
  if (!std::string_view(request.path).starts_with(root)) co_return reply_errors(404, {});
  refuse_headers(request);
  std::optional<Operation> operation = operation_of(request);
  if (!operation) co_return reply_errors(405, {"unsupported operation"});
  std::string path = request.path.substr(root.size());
  while (path.ends_with('/')) path.pop_back();
  Call call{request, *operation, std::move(path), {}, {}, {}, {}};
  Match open_match = match(public_routes(), call);
  if (open_match.route) {
    if (call.operation == Operation::update) call.body = co_await read_object(request);
    co_return co_await (this->*open_match.route->verb)(call);
  }
  if (open_match.path_known) co_return reply_errors(405, {"unsupported operation"});
  if (!opened) throw_sealed();
  co_await authenticate(call);
  Match found = match(routes(), call);
  if (!found.route || !found.route->upserts) require(call, capability_of(call.operation));
  if (found.route && found.route->sudo) require(call, Capability::sudo);
  if (found.path_known && !found.route) co_return reply_errors(405, {"unsupported operation"});
  if (!found.route) {
    co_return reply_errors(404, {"no handler for route \"" + call.path + "\". route entry not found."});
  }
  if (call.operation == Operation::update) call.body = co_await read_object(request);
  if (!opened) throw_sealed();
  co_return co_await (this->*found.route->verb)(call);
}

Task<> VaultServerImpl::authenticate(Call& call) {
  call.token = co_await tokens.find(token_of(call.request));
  if (!call.token) throw Error(Code::forbidden, "permission denied");
  if (!call.token->is_root()) call.policies = co_await policies.all_of(call.token->policies);
}

bool VaultServerImpl::may(const Call& call, std::string_view path, Capability capability) const {
  return call.token->is_root() || allows(call.policies, path, static_cast<std::uint8_t>(capability));
}

void VaultServerImpl::require(const Call& call, Capability capability) const {
  if (may(call, call.path, capability)) return;
  // A rule for a list is written with or without the slash at the end.
  if (capability == Capability::list && may(call, call.path + "/", capability)) return;
  throw Error(Code::forbidden, "permission denied");
}

Task<UnsealFile> VaultServerImpl::initialize() {
  std::optional<UnsealFile> file = co_await material.read_unseal();
  bool has_copies = co_await material.has_copies();
  std::string directory = material.copies_path().string();
  bool made = false;
  if (!file) {
    if (has_copies) {
      throw Error(Code::internal,
                  "The vault's storage is empty and " + directory + " holds sealed keyring copies, but " +
                      material.unseal_path().string() +
                      " is missing: restore that file, or move the directory away to begin anew.");
    }
    file = UnsealFile{crypto::random_key(crypto::key_size), make_token()};
    made = co_await material.create_unseal(*file);
    if (!made) file = co_await material.read_unseal();
    if (!file)
      throw Error(Code::internal,
                  material.unseal_path().string() + " vanished while the vault was being made.");
  }
  std::vector<KeyringCopy> copies = co_await material.read_copies(file->unseal_key);
  Keyring keyring;
  if (!copies.empty()) {
    log::warn("vault: the storage is empty; its keys are restored from the sealed copies",
              {{"directory", directory}});
    keyring = copies.front().keyring;
    for (const KeyringCopy& copy : copies) merge(keyring, copy.keyring);
    keyring.active = keyring.terms.rbegin()->first;
  } else if (has_copies) {
    throw Error(Code::internal, "The key in " + material.unseal_path().string() +
                                    " opens none of the copies in " + directory +
                                    ": restore the unseal.json that belongs to them.");
  } else {
    keyring = make_keyring();
    co_await material.write_copy({keyring, {}}, file->unseal_key);
  }
  std::vector<std::pair<std::string, Secret>> rows{TokenStore::root_row(keyring, file->root_token)};
  bool written = co_await barrier.initialize(file->unseal_key, std::move(keyring), std::move(rows));
  if (!written && !co_await barrier.is_opened_by(file->unseal_key)) {
    if (made) co_await material.discard(file->unseal_key);
    throw Error(Code::internal, "Another vault made itself in the same storage: bring its " +
                                    material.unseal_path().string() + " here.");
  }
  co_return *std::move(file);
}

Task<> VaultServerImpl::open() {
  co_await material.prepare();
  bool initialized = co_await barrier.initialized();
  std::optional<UnsealFile> file;
  if (initialized)
    file = co_await material.read_unseal();
  else
    file = co_await initialize();
  if (!file) {
    throw Error(Code::internal, "The vault's storage is initialised but " + material.unseal_path().string() +
                                    " is missing: restore the key material from its backup. Without it "
                                    "nothing in the storage opens.");
  }
  bool right = co_await barrier.is_opened_by(file->unseal_key);
  if (!right) {
    throw Error(Code::internal, "The key in " + material.unseal_path().string() +
                                    " does not open this storage: it belongs to another vault. Restore the "
                                    "file that was made with it.");
  }
  co_await unseal(std::move(file->unseal_key));
}

Task<> VaultServerImpl::unseal(Secret key) {
  if (opened) co_return;
  if (unsealing) throw Error(Code::unavailable, "an unseal is under way already");
  unsealing = true;
  std::exception_ptr failure;
  try {
    co_await keys.open(std::move(key));
  } catch (...) {
    failure = std::current_exception();
  }
  unsealing = false;
  if (failure) {
    seal();
    std::rethrow_exception(failure);
  }
  opened = true;
  log::info("vault: unsealed");
}

void VaultServerImpl::seal() noexcept {
  opened = false;
  tokens.clear();
  policies.clear();
  keys.close();
}

const std::vector<VaultServerImpl::Route>& public_routes() {
  using Impl = VaultServerImpl;
  static const std::vector<Impl::Route> table{
      {Operation::read, "sys/seal-status", &Impl::seal_status},
      {Operation::read, "sys/health", &Impl::health},
      {Operation::read, "sys/init", &Impl::read_init},
      {Operation::update, "sys/init", &Impl::write_init},
      {Operation::update, "sys/unseal", &Impl::write_unseal},
  };
  return table;
}

const std::vector<VaultServerImpl::Route>& routes() {
  using Impl = VaultServerImpl;
  static const std::vector<Impl::Route> table{
      {Operation::update, "transit/encrypt/:name", &Impl::encrypt_call, false, true},
      {Operation::update, "transit/decrypt/:name", &Impl::decrypt_call},
      {Operation::update, "transit/rewrap/:name", &Impl::rewrap_call},
      {Operation::update, "transit/datakey/:kind/:name", &Impl::datakey_call},
      {Operation::list, "transit/keys", &Impl::list_keys},
      {Operation::read, "transit/keys/:name", &Impl::read_key},
      {Operation::update, "transit/keys/:name", &Impl::create_key},
      {Operation::erase, "transit/keys/:name", &Impl::delete_key},
      {Operation::update, "transit/keys/:name/rotate", &Impl::rotate_key},
      {Operation::update, "transit/keys/:name/config", &Impl::configure_key},
      {Operation::update, "auth/token/create", &Impl::create_token},
      {Operation::update, "auth/token/create-orphan", &Impl::create_orphan, true},
      {Operation::read, "auth/token/lookup-self", &Impl::lookup_self},
      {Operation::update, "auth/token/renew-self", &Impl::renew_self},
      {Operation::update, "auth/token/revoke-self", &Impl::revoke_self},
      {Operation::update, "sys/seal", &Impl::write_seal, true},
      {Operation::read, "sys/mounts", &Impl::mounts},
      {Operation::update, "sys/rotate", &Impl::rotate_keyring, true},
      {Operation::read, "sys/key-status", &Impl::key_status},
      {Operation::list, "sys/policies/acl", &Impl::list_policies},
      {Operation::read, "sys/policies/acl/:name", &Impl::read_policy},
      {Operation::update, "sys/policies/acl/:name", &Impl::write_policy},
      {Operation::erase, "sys/policies/acl/:name", &Impl::delete_policy},
  };
  return table;
}

VaultServer::VaultServer(Storage& storage, KeyMaterialOptions material)
    : impl_(std::make_unique<VaultServerImpl>(storage, std::move(material))) {}
VaultServer::~VaultServer() = default;

Task<> VaultServer::open() { co_await impl_->open(); }
bool VaultServer::sealed() const noexcept { return !impl_->opened; }

http::Handler VaultServer::handler() {
  return [impl = impl_.get()](http::Request& request) { return impl->handle(request); };
}

Task<> VaultServer::run(net::Stop& stop) {
  while (!co_await stop.wait_for(sweep_interval)) {
    if (!impl_->opened) continue;
    try {
      std::size_t removed = co_await impl_->tokens.sweep();
      if (removed > 0) log::info("vault: expired tokens removed", {{"count", removed}});
      co_await impl_->keys.copy_if_needed();
    } catch (const Error& error) {
      log::warn("vault: housekeeping failed; it is tried again", {{"error", error.what()}});
    }
  }
}

}  // namespace terrane::transit
