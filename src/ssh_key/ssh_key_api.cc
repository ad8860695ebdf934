#include "ssh_key/ssh_key_api.h"

#include "api/parameters.h"
#include "organization/access.h"
#include "postgres/known_commit.h"
#include "ssh_key/ssh_key.h"
#include "workspace/workspace.h"

namespace terrane::ssh_key {
namespace {

/// JSON may write each byte of a value as six.
constexpr std::size_t body_limit = 6 * most_value_bytes + 64 * 1024;

Task<organization::OrganizationAccess> require_manager(postgres::Tx& tx, const http::Request& request,
                                                       const std::string& organization) {
  organization::OrganizationAccess access =
      co_await organization::require_organization(tx, api::principal(request), organization);
  if (!access.manage_ssh_keys) throw Error(Code::not_found, "");
  co_return access;
}

Task<SshKey> require_key(postgres::Tx& tx, const http::Request& request) {
  std::optional<SshKey> key = co_await find(tx, request.parameter("id"));
  if (!key) throw Error(Code::not_found, "");
  co_await require_manager(tx, request, key->organization);
  co_return *std::move(key);
}

/// The key that a request names: by the attribute `id` of a workspace, as the client does, or by a resource
/// identifier. Nothing takes the key away.
std::optional<std::string> key_of(const json::object& data) {
  const json::object* attributes = find_object(data, "attributes");
  const json::value* given = attributes ? attributes->if_contains("id") : nullptr;
  if (!given && find_string(data, "type") == "ssh-keys") given = data.if_contains("id");
  if (!given)
    throw Error(Code::unprocessable, "The id of the SSH key, or null, must be given.", "/data/attributes/id");
  if (given->is_null()) return std::nullopt;
  if (!given->is_string())
    throw Error(Code::unprocessable, "The id must be a string or null.", "/data/attributes/id");
  return std::string(given->get_string());
}

}  // namespace

void Api::add_routes(http::Router& router) {
  using http::Method;
  const std::string all = "/api/v2/organizations/:organization/ssh-keys";
  const std::string one = "/api/v2/ssh-keys/:id";
  router.add({Method::get, all, api::bind<&Api::list>(this)});
  router.add({Method::post, all, api::bind<&Api::create>(this), body_limit});
  router.add({Method::get, one, api::bind<&Api::show>(this)});
  router.add({Method::patch, one, api::bind<&Api::update>(this), 64 * 1024});
  router.add({Method::del, one, api::bind<&Api::remove>(this)});
  router.add({Method::patch, "/api/v2/workspaces/:id/relationships/ssh-key", api::bind<&Api::assign>(this),
              64 * 1024},
             {http::Shape::Form::one, "workspaces", "ssh-key-assignments.create"});
}

Task<http::Response> Api::list(http::Request& request) {
  jsonapi::Page page = api::page(request);
  postgres::Tx tx = co_await database_.begin();
  organization::OrganizationAccess access =
      co_await require_manager(tx, request, request.parameter("organization"));
  auto [keys, total] = co_await ssh_key::list(tx, access.id, page);
  json::array data;
  for (const SshKey& key : keys) data.push_back(encode(key));
  co_return api::answer(200, jsonapi::list_document(std::move(data), page, total, request.path));
}

Task<http::Response> Api::create(http::Request& request) {
  json::object data = co_await api::read_data(request, resource().type, body_limit);
  SshKey key;
  key.id = Id<SshKey>::make();
  jsonapi::decode(resource(), data, jsonapi::create, &key);
  std::vector<Problem> problems;
  if (key.name.empty()) problems.push_back({"Name can't be blank", "/data/attributes/name"});
  if (key.value.empty()) problems.push_back({"Value can't be blank", "/data/attributes/value"});
  if (!problems.empty()) throw Error(Code::unprocessable, std::move(problems));
  std::function<Task<SshKey>(postgres::Tx&)> create = [&](postgres::Tx& tx) -> Task<SshKey> {
    organization::OrganizationAccess access =
        co_await require_manager(tx, request, request.parameter("organization"));
    co_await insert(tx, vault_, key, access.id);
    co_return key;
  };
  std::function<Task<std::optional<SshKey>>(postgres::Tx&)> lookup = [&](postgres::Tx& tx) {
    return find(tx, key.id.text());
  };
  SshKey made = co_await postgres::transact_create<SshKey>(database_, create, lookup);
  co_return api::answer(201, jsonapi::document(encode(made)));
}

Task<http::Response> Api::show(http::Request& request) {
  postgres::Tx tx = co_await database_.begin();
  SshKey key = co_await require_key(tx, request);
  co_return api::answer(200, jsonapi::document(encode(key)));
}

Task<http::Response> Api::update(http::Request& request) {
  json::object data = co_await api::read_data(request, resource().type, 64 * 1024);
  std::function<Task<SshKey>(postgres::Tx&)> change = [&](postgres::Tx& tx) -> Task<SshKey> {
    SshKey key = co_await require_key(tx, request);
    jsonapi::decode(resource(), data, jsonapi::update, &key);
    co_await rename(tx, key);
    co_return key;
  };
  SshKey key = co_await postgres::transact_change<SshKey>(database_, change);
  co_return api::answer(200, jsonapi::document(encode(key)));
}

Task<http::Response> Api::remove(http::Request& request) {
  std::function<Task<>(postgres::Tx&)> remove = [&](postgres::Tx& tx) -> Task<> {
    SshKey key = co_await require_key(tx, request);
    co_await ssh_key::remove(tx, key.id.text());
  };
  co_await postgres::transact_remove(database_, remove);
  co_return api::no_content();
}

Task<http::Response> Api::assign(http::Request& request) {
  json::object data = co_await api::read_data(request, "", 64 * 1024);
  std::optional<std::string> key = key_of(data);
  const api::Principal& principal = api::principal(request);
  std::function<Task<json::object>(postgres::Tx&)> change = [&](postgres::Tx& tx) -> Task<json::object> {
    auto seen = co_await workspace::require(tx, principal, request.parameter("id"), workspace::RowLock::yes);
    if (!seen.access.update) throw Error(Code::not_found, "");
    co_await ssh_key::assign(tx, seen.workspace.id.text(), key);
    auto changed = co_await workspace::require(tx, principal, seen.workspace.id.text());
    co_return workspace::document(changed.workspace, changed.access);
  };
  json::object shown = co_await postgres::transact_change<json::object>(database_, change);
  co_return api::answer(200, jsonapi::document(std::move(shown)));
}

}  // namespace terrane::ssh_key
